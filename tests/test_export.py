"""Exports: outputs in their runtimes, refused calls, and no leftovers after an error."""

import collections
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BACKEND, FAMILIES, MODEL_CASES, once, one_block_per_stage, run

import keras_shiftmlp
from keras_shiftmlp import cli
from keras_shiftmlp.export import exporter
from keras_shiftmlp.kernels.gelu import gelu

ENDINGS = {name: kind.ending for name, kind in exporter.FORMATS.items()}
PACKAGES = {name: kind.needs for name, kind in exporter.FORMATS.items()}
# The formats that each backend writes. A SavedModel takes as long as all others, and the files of
# OpenVINO and LiteRT are converted from one; it has tests of its own below.
WRITERS = {"tensorflow": ["onnx", "openvino", "litert"], "torch": ["pt2"]}


def needs(*formats):
    for format in formats:
        for package in PACKAGES[format]:
            pytest.importorskip(package)


def away_from_start(model):
    """Gives all weights values unlike 0 and 1, so that the head distinguishes pictures."""
    rng = np.random.default_rng(1)
    draw = [w + 0.1 * rng.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()]
    model.set_weights(draw)
    return model


@pytest.fixture(scope="session")
def pictures():
    """Scanned digits, in colour: `(8, 32, 48, 3)` of uint8."""
    digits = pytest.importorskip("sklearn.datasets").load_digits().images[:8] * 255 / 16
    grey = np.kron(digits, np.ones((1, 4, 6)))
    return np.stack([grey, 255 - grey, grey / 2], axis=-1).astype("uint8")


@pytest.fixture
def shortcut(monkeypatch):
    """Replaces ONNX by a format that saves the network with Keras, to test all other steps."""

    def write(network, path, class_names):
        path.write_bytes(b"network")
        shortcut.network = network

    def load(path):
        def run_network(images):
            outputs = shortcut.network.serve(keras.ops.convert_to_tensor(images))
            return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}

        return run_network

    fields = vars(exporter.FORMATS["onnx"])
    changes = dict(backend=BACKEND, write=write, load=load, needs={})
    shortcut = types.SimpleNamespace(**{**fields, **changes})
    monkeypatch.setitem(exporter.FORMATS, "onnx", shortcut)
    return shortcut


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="session", params=FAMILIES, ids=[x.name for x in FAMILIES.values()])
def family(request, pictures):
    """A case, its network, and a few pictures that the network tells apart."""
    case, few = FAMILIES[request.param], pictures[:3]
    # Every second block of these rolls its map.
    alike = request.param not in ("HireMLP", "MSMLPSwin")
    model = away_from_start(
        case.build(**(one_block_per_stage(case.hyperparameters) if alike else {}))
    )
    here = run(model, few.astype("float32"))
    assert np.abs(here - here[:1]).max() > 1e-3
    return case, model, few


@pytest.mark.skipif(BACKEND not in WRITERS, reason="the other backends export through these")
@pytest.mark.parametrize("format", WRITERS.get(BACKEND, []))
def test_every_family(family, format, tmp_path):
    needs(format)
    case, model, few = family
    path = tmp_path / f"model{ENDINGS[format]}"
    card = keras_shiftmlp.export.write(model, path, format, images=few)
    free = case.any_size and exporter.FORMATS[format].any_size
    assert card["input"]["shape"] == [None, *((None, None) if free else (32, 48)), 3]
    other = [1, 24, 32, 3] if free else [1, 32, 48, 3]
    assert card["compared"]["shapes"] == [[3, 32, 48, 3], other]
    assert max(card["compared"]["scaled_difference"].values()) <= 1e-5


@pytest.mark.parametrize("format", ENDINGS)
def test_every_format(format, tmp_path, pictures):
    needs(format)
    if exporter.FORMATS[format].backend != BACKEND or format == "onnx":
        pytest.skip("written by another backend, or for every family above")
    model = away_from_start(MODEL_CASES["s2_mlp_v2"].build(depths=(1, 1), drop_path_rate=0.2))
    model.class_names = ["ant", "bee", "cat", "dog", "eel"]
    path = tmp_path / "new" / f"model{ENDINGS[format]}"
    card = keras_shiftmlp.export.write(model, path, format, images=pictures, license="MIT")
    outputs = keras_shiftmlp.export.load(path)(pictures.astype("float32"))
    np.testing.assert_allclose(outputs["probabilities"], run(model, pictures), atol=1e-5)
    assert max(card["compared"]["scaled_difference"].values()) <= 1e-4
    expected = {path.name, f"{path.name}.card.json"}
    assert set(left_in(path.parent)) == expected | (
        {"model.bin"} if format == "openvino" else set()
    )
    assert card == json.loads((path.parent / f"{path.name}.card.json").read_text())
    assert card["class_names"] == list(model.class_names) and card["license"] == "MIT"
    assert card["preprocessing"]["mean"] == list(model.preprocessing.mean)
    for name, file in card["files"].items():
        content = (path.parent / name).read_bytes()
        assert file == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow writes it")
def test_onnx_runtime_computes_each_norm_and_each_gelu_at_once(tmp_path, pictures):
    needs("onnx")
    import onnx
    import onnxruntime

    model = away_from_start(MODEL_CASES["ms_mlp"].build())
    keras_shiftmlp.export.onnx(model, tmp_path / "model.onnx", images=pictures)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(tmp_path / "model.onnx", options)
    nodes = onnx.load(tmp_path / "optimized.onnx").graph.node
    operators = collections.Counter(node.op_type for node in nodes)
    norms = [x for x in model.layers if isinstance(x, keras.layers.LayerNormalization)]
    gelus = [x for x in model.layers if getattr(x, "activation", None) is gelu]
    assert operators["LayerNormalization"] == len(norms) > 3
    assert operators["Gelu"] == len(gelus) > 1
    assert not operators["Erf"]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow writes it")
def test_other_norms_and_error_functions_in_onnx(tmp_path, pictures):
    """What is not a GELU, and norms without a scale or an offset, stay what they are."""
    needs("onnx")
    norm = keras.layers.LayerNormalization
    x = image = keras.Input((32, 48, 3))
    x = norm(center=False, epsilon=1e-3)(x)
    x = norm(scale=False, axis=(1, 2))(keras.ops.erf(x))
    with pytest.warns(UserWarning, match="rms_scaling"):  # also of its copies
        x = norm(rms_scaling=True)(keras.ops.erf(3 * x))
        model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))
        card = keras_shiftmlp.export.onnx(model, tmp_path / "model.onnx", images=pictures)
    assert max(card["compared"]["scaled_difference"].values()) <= 1e-4


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch writes it")
def test_a_program_holds_each_weight_once_and_no_path(tmp_path, pictures):
    import torch

    model = away_from_start(MODEL_CASES["s2_mlp_v2"].build(depths=(1, 1), drop_path_rate=0.2))
    path = tmp_path / "model.pt2"
    keras_shiftmlp.export.pt2(model, path, images=pictures)
    program = torch.export.load(path)
    for weight in model.weights:
        there = program.state_dict[weight.path]
        assert there.requires_grad == weight.trainable
        np.testing.assert_array_equal(there.detach().numpy(), weight.numpy())
    assert sum(x.numel() for x in program.constants.values() if hasattr(x, "numel")) < 100
    with zipfile.ZipFile(path) as file:
        content = b"".join(file.read(name) for name in file.namelist())
    assert str(Path(__file__).parents[1]).encode() not in content
    assert os.path.dirname(torch.__file__).encode() not in content
    # Without what binds the program to a processor or repeats each weight.
    calls = [str(node.target) for node in program.graph.nodes]
    assert not [call for call in calls if "_assert" in call]
    assert sum("aten.to." in call for call in calls) <= 2
    # A weight that another program changes has an effect.
    before = keras_shiftmlp.export.load(path)(pictures.astype("float32"))["logits"]
    with torch.no_grad():
        module = program.module()
        module.load_state_dict({**module.state_dict(), "predictions/bias": torch.ones(5)})
        after = module(torch.from_numpy(pictures.astype("float32")))["logits"].numpy()
    bias = model.get_layer("predictions").bias.numpy()
    np.testing.assert_allclose(after - before, np.tile(1 - bias, (len(pictures), 1)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch writes it")
def test_a_program_of_parts_that_share_a_path(tmp_path):
    import torch

    image, vector = keras.Input((8, 8, 3)), keras.Input((3,))
    part = keras.Model(vector, keras.layers.Dense(3, name="same")(vector))
    y = keras.layers.Dense(4, name="same")(part(keras.layers.GlobalAveragePooling2D()(image)))
    model = away_from_start(keras.Model(image, y))
    assert len({variable.path for variable in model.variables}) < len(model.variables)
    keras_shiftmlp.export.pt2(model, tmp_path / "model.pt2")  # compares the outputs
    state = torch.export.load(tmp_path / "model.pt2").state_dict
    assert {"same/kernel", "same/bias"} < state.keys() and len(state) == 4


AS_HUB_MODEL = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_hub as hub, tf_keras
path, pictures, out = sys.argv[1:]
x = np.load(pictures)
root = hub.load(path)
plain = tf.saved_model.load(path)
fresh = root(x.astype("float32"))
assert isinstance(fresh, tf.Tensor)
for again in (root(x), root(x, training=False), plain(x), plain.serve(x.astype("float32"))):
    np.testing.assert_allclose(again, fresh, atol=1e-6)
assert np.abs(root(x, training=True) - root(x, training=True)).max() > 1e-4  # dropout
assert root.regularization_losses == []
other = root(x[:1, :24, :20])  # another size
assert other.shape == (1, 5)
names = open(plain.class_names.asset_path.numpy()).read().split()
signatures = {
    name: {key: [*spec.shape] for key, spec in signature.structured_outputs.items()}
    for name, signature in plain.signatures.items()
}
inputs = tf_keras.Input((None, None, 3), dtype=tf.uint8)
layer = hub.KerasLayer(path, trainable=True)
model = tf_keras.Model(inputs, tf_keras.layers.Dense(2)(layer(inputs)))
before = [v.numpy() for v in layer.trainable_variables]
inferred = [model(x).numpy() for _ in range(2)]
np.testing.assert_array_equal(*inferred)
model.compile(tf_keras.optimizers.SGD(0.1), tf_keras.losses.MeanSquaredError())
model.fit(x, np.eye(2)[np.arange(8) % 2], batch_size=8, epochs=2, verbose=0)
moved = sum(np.any(v.numpy() != old) for v, old in zip(layer.trainable_variables, before))
assert "keras_shiftmlp" not in sys.modules
json.dump(
    {
        "output": fresh.numpy().tolist(),
        "names": names,
        "signatures": signatures,
        "variables": len(root.variables),
        "trainable": len(root.trainable_variables),
        "moved": int(moved),
    },
    open(out, "w"),
)
"""


def in_tensorflow(code, *arguments):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-3000:]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow starts once less")
def test_saved_model_is_used_as_hub_models_are(tmp_path, pictures):
    needs("saved_model")
    pytest.importorskip("tensorflow_hub")
    pytest.importorskip("tf_keras")
    ms_mlp = MODEL_CASES["ms_mlp"].build(depths=(1, 1), dropout_rate=0.3, drop_path_rate=0.2)
    model = away_from_start(ms_mlp)
    model.class_names = ["ant", "bee", "cat", "dog", "eel"]
    keras_shiftmlp.export.saved_model(model, tmp_path / "model", images=pictures)
    np.save(tmp_path / "pictures.npy", pictures)
    files = [tmp_path / name for name in ("model", "pictures.npy", "seen.json")]
    in_tensorflow(AS_HUB_MODEL, *files)
    seen = json.loads(files[-1].read_text())
    np.testing.assert_allclose(seen["output"], run(model, pictures), atol=1e-5)
    assert seen["names"] == list(model.class_names)
    assert seen["signatures"] == {
        "serving_default": {"probabilities": [None, 5], "logits": [None, 5]},
        "serving_uint8": {"probabilities": [None, 5], "logits": [None, 5]},
        "feature_vector": {"feature_vector": [None, 26]},
        "feature_maps": {"P2": [None, None, None, 13], "P3": [None, None, None, 26]},
    }
    assert seen["trainable"] == seen["moved"] == len(model.trainable_variables)
    assert seen["variables"] >= seen["trainable"]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TFSMLayer needs TensorFlow")
def test_saved_model_as_a_keras_layer(tmp_path, pictures):
    needs("saved_model")
    model = away_from_start(MODEL_CASES["s2_mlp"].build(dropout_rate=0.3))
    keras_shiftmlp.export.saved_model(model, tmp_path / "model", images=pictures)
    layer = keras.layers.TFSMLayer(str(tmp_path / "model"), call_training_endpoint="serve_training")
    x = pictures.astype("float32")
    np.testing.assert_allclose(layer(x), run(model, x), atol=1e-5)
    assert np.abs(layer(x, training=True) - layer(x, training=True)).max() > 1e-4
    assert len(layer.trainable_weights) == len(model.trainable_variables)


FINE_TUNE = """
import json, sys
import numpy as np, tensorflow as tf, tensorflow_hub as hub, tf_keras
path, data, out = sys.argv[1:]
tf_keras.utils.set_random_seed(0)
with np.load(data) as file:
    x, y = file["x"], file["y"]
layer = hub.KerasLayer(path, trainable=True)
model = tf_keras.Sequential([tf_keras.Input((8, 8, 3)), layer])
model.compile(
    tf_keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
before = [v.numpy() for v in layer.trainable_variables]
_, first = model.evaluate(x[1200:], y[1200:], verbose=0)
model.fit(x[:1200], y[:1200], epochs=3, verbose=0)
_, last = model.evaluate(x[1200:], y[1200:], verbose=0)
still = [v.name for v, old in zip(layer.trainable_variables, before) if np.all(v.numpy() == old)]
json.dump({"first": first, "last": last, "still": still}, open(out, "w"))
"""


@pytest.mark.skipif(BACKEND != "jax", reason="from JAX to TF Hub")
def test_hub_fine_tunes_what_jax_has_trained(tmp_path):
    needs("saved_model")
    pytest.importorskip("tensorflow_hub")
    pytest.importorskip("tf_keras")
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    x = np.repeat(digits.images[..., None] * 255 / 16, 3, axis=-1).astype("uint8")
    y = digits.target
    model = keras_shiftmlp.S2MLP(
        patch_sizes=(2,),
        dims=(32,),
        depths=(1,),
        classes=10,
        input_shape=(8, 8, 3),
        dropout_rate=0.05,
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x[:1200], y[:1200], batch_size=40, epochs=1, verbose=0)
    here = np.mean(model.predict(x[1200:], verbose=0).argmax(1) == y[1200:])
    keras_shiftmlp.export.saved_model(model, tmp_path / "model", images=x[:8])
    np.savez(tmp_path / "digits.npz", x=x.astype("float32"), y=y)
    in_tensorflow(FINE_TUNE, tmp_path / "model", tmp_path / "digits.npz", tmp_path / "seen.json")
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert abs(seen["first"] - here) < 5e-3 and here > 0.15  # JAX's weights were exported
    assert seen["last"] > seen["first"] + 0.1
    assert seen["still"] == []


@once
def test_other_models(shortcut, tmp_path, pictures):
    """Models without a head, with logits, in half precision, and wrapped in another model."""
    case, x = MODEL_CASES["s2_mlp"], pictures.astype("float32")
    ours = case.build(include_top=False, pooling="avg")
    around = keras.Sequential([keras.Input((32, 48, 3)), ours, keras.layers.Dense(3, "sigmoid")])
    for index, (model, outputs) in enumerate(
        (
            (case.build(include_top=False), {"features": [None, None, None, 18]}),
            (ours, {"features": [None, 18]}),
            (case.build(classifier_activation=None), {"logits": [None, 5]}),
            (case.build(dtype="mixed_bfloat16"), {"logits": [None, 5]}),
            (around, {"logits": [None, 3]}),
        )
    ):
        path = tmp_path / f"{index}.onnx"
        card = keras_shiftmlp.export.onnx(away_from_start(model), path, images=pictures)
        if "logits" in outputs:
            outputs["probabilities"] = outputs["logits"]
        assert card["outputs"] == outputs
        assert shortcut.network.model.layers[-1].compute_dtype == "float32"
        own = keras.ops.convert_to_numpy(shortcut.network.activated(shortcut.network.model(x)))
        tolerance = 5e-2 if index == 3 else 1e-5
        np.testing.assert_allclose(own, run(model, x), atol=tolerance)
    assert card["preprocessing"] is None and card["input"]["shape"] == [None, 32, 48, 3]


@once
def test_sizes(shortcut, tmp_path):
    shifts, mixer = (MODEL_CASES[name].build() for name in ("s2_mlp_v2", "mixer"))
    write = keras_shiftmlp.export.onnx
    assert write(shifts, tmp_path / "a.onnx")["input"]["shape"] == [None, None, None, 3]
    assert write(shifts, tmp_path / "b.onnx", size=40)["input"]["shape"] == [None, 40, 40, 3]
    card = write(shifts, tmp_path / "c.onnx", size=(24, 32))
    assert card["compared"]["shapes"] == [[8, 24, 32, 3], [1, 24, 32, 3]]
    assert write(mixer, tmp_path / "d.onnx", size=(32, 48))["input"]["shape"] == [None, 32, 48, 3]
    shortcut.any_size = False
    assert write(shifts, tmp_path / "e.onnx")["input"]["shape"] == [None, 32, 48, 3]
    anything = MODEL_CASES["s2_mlp_v2"].build(input_shape=(None, None, 3))
    anything.preprocessing.image_size = 16
    assert write(anything, tmp_path / "f.onnx")["input"]["shape"] == [None, 16, 16, 3]


@once
@pytest.mark.parametrize("wrong", [1.0, np.nan])
def test_a_wrong_file_is_refused(shortcut, tmp_path, pictures, wrong):
    model = MODEL_CASES["s2_mlp"].build()
    shortcut.load = lambda path: (
        lambda x: {"logits": run(shortcut.network.model, x) + wrong * (np.arange(5) == 4)}
    )
    for tolerance in (1e-4, 0.5):
        with pytest.raises(keras_shiftmlp.export.ExportError, match=f"tolerance={tolerance}"):
            keras_shiftmlp.export.onnx(
                model, tmp_path / "a.onnx", images=pictures, tolerance=tolerance
            )
    assert left_in(tmp_path) == []


@once
def test_a_failing_exporter_leaves_nothing(shortcut, tmp_path):
    def write(network, path, class_names):
        path.write_bytes(b"half")
        raise KeyError("tf.Roll")

    shortcut.write = write
    with pytest.raises(keras_shiftmlp.export.ExportError, match=r"ONNX Runtime.*KeyError.*Roll"):
        keras_shiftmlp.export.onnx(MODEL_CASES["s2_mlp"].build(), tmp_path / "a.onnx")
    assert left_in(tmp_path) == []


@once
def test_a_failing_process_leaves_nothing(shortcut, tmp_path):
    shortcut.backend = "no_such_backend"
    with pytest.raises(keras_shiftmlp.export.ExportError, match=r"no_such_backend ended with 1"):
        keras_shiftmlp.export.onnx(MODEL_CASES["s2_mlp"].build(), tmp_path / "a.onnx")
    assert left_in(tmp_path) == []


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow writes it for every backend")
def test_saved_model_trains_what_is_trained_here(tmp_path):
    import tensorflow as tf

    model = MODEL_CASES["s2_mlp_v2"].build()
    keras_shiftmlp.enable_lora(model, 2)
    keras_shiftmlp.export.saved_model(model, tmp_path / "model")
    root = tf.saved_model.load(str(tmp_path / "model"))
    here, there = (sorted(tuple(v.shape) for v in x.trainable_variables) for x in (model, root))
    assert here == there and len(there) < len(root.variables)


@once
def test_bad_models_are_refused(tmp_path):
    sequential = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"`model` must be a built Keras model.*Received: `model="):
        keras_shiftmlp.export.onnx(sequential, tmp_path / "a.onnx")
    with pytest.raises(ValueError, match=r"built Keras model.*Received: `model=mixer`"):
        keras_shiftmlp.export.onnx("mixer", tmp_path / "a.onnx")
    x = keras.Input((4,))
    with pytest.raises(ValueError, match=r"one input, images `\(B, H, W, C\)`.*\(None, 4\)"):
        keras_shiftmlp.export.onnx(keras.Model(x, x), tmp_path / "a.onnx")
    assert left_in(tmp_path) == []


@once
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(format="hdf5"), r"`format` must be one of 'saved_model', 'onnx'.*`format='hdf5'`"),
        (dict(path="a.tflite"), r"`path` must end in '.onnx'. Received: `path='.*a.tflite'`"),
        (dict(path="a.onnx", format="saved_model"), r"`path` must be a folder. .*a.onnx'`"),
        (dict(path="taken.onnx"), r"must be new or empty.* `path='.*taken.onnx'`"),
        (dict(path="taken", format="saved_model"), r"must be new or empty.* `path='.*taken'`"),
        (dict(path="other.xml", format="openvino"), r"new or empty.* `path='.*other.bin'`"),
        (dict(size=64), r"takes images of 32 x 48 only.*Received: `size=64`"),
        (dict(size=(32, None)), r"`size` must be a height and a width.*`size=\(32, None\)`"),
        (dict(size=0), r"one side of a square. Received: `size=0`"),
        (dict(images=np.zeros((2, 32, 32, 3))), r"`images` must be .*\(None, 32, 48, 3\).*32, 32"),
        (dict(images=np.zeros((0, 32, 48, 3))), r"Received: `images` of shape \(0, 32, 48, 3\)"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, shortcut, options, message):
    (tmp_path / "taken").mkdir()
    for name in ("taken/file", "taken.onnx", "other.bin"):
        (tmp_path / name).write_text("something")
    before = left_in(tmp_path)
    options = {"path": "a.onnx", "format": "onnx", **options}
    model = MODEL_CASES["mixer"].build()
    with pytest.raises(ValueError, match=message):
        keras_shiftmlp.export.write(model, tmp_path / options.pop("path"), **options)
    assert left_in(tmp_path) == before


@once
def test_empty_places_may_be_written(shortcut, tmp_path):
    (tmp_path / "a.onnx").touch()
    keras_shiftmlp.export.onnx(MODEL_CASES["s2_mlp"].build(), tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == b"network"


@once
@pytest.mark.parametrize("format", ENDINGS)
def test_a_missing_package_is_named(format, tmp_path, monkeypatch):
    model, path = MODEL_CASES["mixer"].build(), tmp_path / f"a{ENDINGS[format]}"
    for package in PACKAGES[format]:
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda name: None if name == package else 1)  # noqa: B023
            with pytest.raises(ImportError, match=rf"'{format}'` needs {package}: pip install"):
                keras_shiftmlp.export.write(model, path, format)
    assert left_in(tmp_path) == []


@once
def test_only_exports_are_loaded(tmp_path):
    with pytest.raises(ValueError, match=r"that of an export. Received: `path='.*a.h5'`"):
        keras_shiftmlp.export.load(tmp_path / "a.h5")


@once
def test_export_command(shortcut, tmp_path, capsys):
    pytest.importorskip("grain")
    from PIL import Image

    for name in keras_shiftmlp.MixerNano(weights="cifar10").class_names:
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.new("RGB", (40, 32), "teal").save(tmp_path / "data" / name / "one.png")
    path = tmp_path / "out" / "mixer.onnx"
    data = str(tmp_path / "data")
    cli.main(["export", "MixerNano", "--weights", "cifar10", "--images", data, "--out", str(path)])
    card = json.loads((tmp_path / "out" / "mixer.onnx.card.json").read_text())
    assert json.loads(capsys.readouterr().out) == {"bytes": 7, **card["compared"]}
    assert card["license"] == "Apache-2.0" and card["compared"]["shapes"][0] == [8, 32, 32, 3]
    assert path.read_bytes() == b"network"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the file is the same for every backend")
@pytest.mark.filterwarnings("ignore")  # NNCF warns
@pytest.mark.parametrize(
    ("format", "family", "share"), [("openvino", "s2_mlp", 0.5), ("litert", "mixer", 0.7)]
)
def test_quantize(format, family, share, tmp_path, pictures):
    needs(format)
    pytest.importorskip("nncf" if format == "openvino" else "ai_edge_quantizer")
    model, end = away_from_start(MODEL_CASES[family].build()), ENDINGS[format]
    labels = run(model, pictures.astype("float32")).argmax(1)
    exact, rounded, third = (tmp_path / f"{name}{end}" for name in "abc")
    keras_shiftmlp.export.write(model, exact, format, images=pictures)
    before, test = left_in(tmp_path), (pictures, labels)
    images = pictures if format == "openvino" else None
    quantize = keras_shiftmlp.export.quantize
    with pytest.raises(keras_shiftmlp.export.ExportError, match=r"int8 loses .* `max_loss=-1"):
        quantize(exact, rounded, test, images=images, max_loss=-1.5)
    with pytest.raises(ValueError, match=rf"or a LiteRT export. Received: `path='.*b{end}'`"):
        quantize(rounded, third, test, images=images)
    with pytest.raises(ValueError, match=rf"new or empty.*a{end}"):
        quantize(exact, exact, test, images=images)
    with pytest.raises(ValueError, match=r"a label for each.*\(8, 32, 48, 3\), \(7,\)"):
        quantize(exact, rounded, (pictures, labels[:7]), images=images)
    with pytest.raises(ValueError, match=r"Received: [08] `images` for `path='.*a\."):
        quantize(exact, rounded, test, images=pictures if images is None else None)
    assert left_in(tmp_path) == before
    card = quantize(exact, rounded, test, images=images, max_loss=0.3)
    files = {rounded.name, f"{rounded.name}.card.json"}
    assert set(left_in(tmp_path)) - set(before) == files | (
        {"b.bin"} if images is not None else set()
    )
    assert card == json.loads((tmp_path / f"{rounded.name}.card.json").read_text())
    assert card["float32"]["accuracy"] == 1.0
    weights = "bin" if format == "openvino" else "tflite"
    sizes = [path.with_suffix(f".{weights}").stat().st_size for path in (rounded, exact)]
    assert sizes[0] < share * sizes[1]  # LiteRT's file includes the graph
    few = pictures[:2].astype("float32")
    approximate, same = (keras_shiftmlp.export.load(path)(few) for path in (rounded, exact))
    assert 1e-6 < np.abs(approximate["logits"] - same["logits"]).max() < 1


@once
@pytest.mark.parametrize("package", ["ai_edge_quantizer", "ai_edge_litert"])
def test_a_package_missing_for_int8_is_named(package, tmp_path, pictures, monkeypatch):
    (tmp_path / "a.tflite").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else 1)
    with pytest.raises(ImportError, match=rf"int8 needs {package}: pip install .*\[quantize\]"):
        test = (pictures, np.zeros(8))
        keras_shiftmlp.export.quantize(tmp_path / "a.tflite", tmp_path / "b.tflite", test)
    assert left_in(tmp_path) == ["a.tflite"]
