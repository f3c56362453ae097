"""`weights="....weights.h5"`: the right layers or an error, never a silent misload.

Reading is the same on every backend and is tested once; test_frozen_files.py opens files on each.

`KERAS_BACKEND=torch python tests/test_weight_files.py` adds new cases and sizes to
`variable_paths.json` and `published_variable_paths.json`. It never changes a line: that would break
the files that people have.
"""

import hashlib
import json
import logging
import os

import h5py
import keras
import numpy as np
import pytest
import safetensors.numpy
from cases import BACKEND, HERE, MODEL_CASES, all_on_numpy, once, run

import keras_shiftmlp
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.publishing.checkpoints import save_safetensors

PUBLISHED_PATHS = HERE / "published_variable_paths.json"
PATHS = HERE / "variable_paths.json"


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "body.weights.h5"
    model.save_weights(path)
    return model, path


def numbers(weight):
    # Not `ops.cast`, for which OpenVINO compiles a program.
    return keras.ops.convert_to_numpy(weight).astype("float32")


def published_paths(name):
    """How many variables a published size has, and a hash of their paths and shapes in order."""
    with keras.device("meta"), zero_start():  # PyTorch's device without memory
        variables = keras_shiftmlp.get_model(name, weights=None).weights
    lines = "\n".join(f"{variable.path} {tuple(variable.shape)}" for variable in variables)
    return [len(variables), hashlib.sha256(lines.encode()).hexdigest()]


def paths_of(model):
    """The path and shape of every variable."""
    return [[weight.path, list(weight.shape)] for weight in model.weights]


def test_variable_paths_are_those_of_every_other_build(case, model):
    """Variable paths are part of the file format; a change breaks users' files."""
    assert paths_of(model) == json.loads(PATHS.read_text())[case.name]


@pytest.mark.skipif(BACKEND != "torch", reason="once is enough")
def test_variable_paths_of_every_published_size():
    pinned = json.loads(PUBLISHED_PATHS.read_text())
    assert {name: published_paths(name) for name in keras_shiftmlp.list_models()} == pinned


@once
def test_what_a_file_will_fill_is_not_drawn_first(case, model):
    with zero_start():
        empty = case.build()
    for layer, other in zip(empty.layers, model.layers):
        if layer.name != "predictions":
            assert not any(np.ptp(weight) for weight in layer.get_weights())
        assert layer.get_config() == other.get_config()


@once
def test_a_model_from_a_file_knows_how_it_would_start(case, saved):
    model, path = saved
    again = case.build(weights=path, classes=7)
    for layer, other in zip(again.layers, model.layers):
        config = layer.get_config() | ({"units": 5} if layer.name == "predictions" else {})
        assert config == other.get_config()
    fresh = keras.models.clone_model(again)
    stem = next(layer for layer in fresh.layers if hasattr(layer, "kernel_initializer"))
    for layer in (again.get_layer("predictions"), stem):
        is_zero = layer.kernel_initializer.__class__.__name__ == "Zeros"
        assert (np.ptp(layer.get_weights()[0]) == 0) == is_zero


@once
def test_the_order_in_the_file_does_not_matter(tmp_path, pixels):
    """Keras itself goes by the order of the layers of a class, and would load this silently."""
    model = MODEL_CASES["mixer"].build()
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.2 * rng.normal(size=w.shape) for w in model.get_weights()])
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5") as a, h5py.File(tmp_path / "b.weights.h5", "w") as b:
        groups = b.create_group("layers")
        names = [name for name in a["layers"] if name.startswith("layer_normalization")]
        others = dict(zip(names, reversed(names)))
        for name, group in a["layers"].items():
            a.copy(group, groups, others.get(name, name))
    ours = MODEL_CASES["mixer"].build(weights=tmp_path / "b.weights.h5")
    np.testing.assert_array_equal(run(ours, pixels), run(model, pixels))
    keras_own = MODEL_CASES["mixer"].build()
    keras_own.load_weights(tmp_path / "b.weights.h5")
    assert np.abs(run(keras_own, pixels) - run(model, pixels)).max() > 0.01


@once
def test_classes_come_from_the_file(case, saved, pixels):
    model, path = saved
    again = case.build(weights=path, classes=None, name="another_name")
    assert again.name == "another_name"
    np.testing.assert_array_equal(run(again, pixels), run(model, pixels))


@once
def test_other_classes_keep_the_body_and_say_so(case, saved, caplog):
    model, path = saved
    with caplog.at_level(logging.WARNING, "keras_shiftmlp"):
        again = case.build(weights=str(path), classes=7)
    [record] = caplog.records
    assert "fresh head of 7 classes" in record.getMessage()
    assert again.output_shape == (None, 7)
    for old, new in zip(model.get_weights()[:-2], again.get_weights()[:-2]):
        np.testing.assert_array_equal(old, new)


@once
def test_the_same_file_serves_without_the_top(case, saved, pixels):
    model, path = saved
    for pooling in (None, "avg"):
        body = case.build(weights=path, include_top=False, pooling=pooling)
        other = keras.Model(model.input, model.get_layer(body.layers[-1].name).output)
        np.testing.assert_allclose(run(body, pixels), run(other, pixels), atol=1e-6)


@once
def test_layers_of_ones_own_are_left_alone(case, saved, pixels):
    """Keras itself would load the stem's weights into the first convolution it meets."""
    model, path = saved
    image = keras.Input((32, 48, 3))
    own = keras.layers.Conv2D(3, 1, kernel_initializer="ones", name="own")
    again = case.build(weights=path, input_tensor=own(image), input_shape=None)
    np.testing.assert_array_equal(own.get_weights()[0], np.ones((1, 1, 3, 3)))
    image_sum = np.repeat(pixels.sum(-1, keepdims=True), 3, -1)
    np.testing.assert_allclose(run(again, pixels), run(model, image_sum), atol=1e-5)
    again.save_weights(path)
    with pytest.raises(ValueError, match=r"no place, the model lacks 'own/0'.*`weights="):
        case.build(weights=path)


@once
def test_drop_path_and_dropout_do_not_matter(case, saved, pixels):
    model, path = saved
    again = case.build(weights=path, drop_path_rate=0.3, dropout_rate=0.2)
    np.testing.assert_array_equal(run(again, pixels), run(model, pixels))
    again.save_weights(path)
    np.testing.assert_array_equal(run(case.build(weights=path), pixels), run(model, pixels))


def fill(model):
    """Sets random weights: OpenVINO compiles a program for each initial value that is read."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])


@all_on_numpy
def test_half_precision_files(case, tmp_path):
    model = case.build(dtype="bfloat16")
    fill(model)
    model.save_weights(tmp_path / "half.weights.h5")
    again = case.build(weights=tmp_path / "half.weights.h5")
    for old, new in zip(model.weights, again.weights):
        np.testing.assert_array_equal(numbers(new), numbers(old))


@all_on_numpy
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "mixed_bfloat16"])
def test_safetensors_of_our_own(case, dtype, tmp_path):
    path = tmp_path / "weights.bin"
    model = case.build(dtype=dtype)
    fill(model)
    save_safetensors(model, path)
    stored = safetensors.numpy.load_file(path)
    assert {key: array.dtype.name for key, array in stored.items()} == {
        weight.path: weight.dtype for weight in model.weights
    }
    again = case.build(weights=path, classes=None, dtype=dtype)
    assert again.output_shape == (None, 5)
    for old, new in zip(model.weights, again.weights, strict=True):
        assert old.path == new.path and old.dtype == new.dtype
        np.testing.assert_array_equal(numbers(old), numbers(new))
    # Half precision is exact in float32.
    for old, new in zip(model.weights, case.build(weights=path).weights):
        np.testing.assert_array_equal(numbers(old), numbers(new))


@pytest.mark.skipif(os.name != "posix" or BACKEND != "numpy", reason="once, where modes exist")
def test_others_may_read_a_file_of_ours_if_the_umask_allows_it(tmp_path):
    model = keras_shiftmlp.MSMLPNano(weights=None)
    for umask in (0o022, 0o077):
        path, before = tmp_path / f"{umask}.safetensors", os.umask(umask)
        try:
            save_safetensors(model, path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@once
def test_safetensors_fill_a_body_or_another_head(case, tmp_path, pixels, caplog):
    path = tmp_path / "own.safetensors"
    model = case.build()
    save_safetensors(model.layers, path)
    body = case.build(weights=path, include_top=False)
    other = keras.Model(model.input, model.get_layer(body.layers[-1].name).output)
    np.testing.assert_allclose(run(body, pixels), run(other, pixels), atol=1e-6)
    with caplog.at_level(logging.WARNING, "keras_shiftmlp"):
        assert case.build(weights=path, classes=7).output_shape == (None, 7)
    assert "fresh head of 7 classes" in caplog.text


@once
def test_safetensors_are_recognised_by_their_metadata(tmp_path):
    path = tmp_path / "weights.safetensors"
    case = MODEL_CASES["mixer"]
    model = case.build()
    save_safetensors(model, path)
    arrays = safetensors.numpy.load_file(path)
    safetensors.numpy.save_file(arrays, path, {"format": "pt"})
    with pytest.raises(ValueError, match="one of these layouts"):
        case.build(weights=path)
    missing, extra = dict(arrays), arrays | {"block_9_norm/gamma": arrays["norm/gamma"]}
    del missing["norm/beta"]
    for broken, message in (
        (missing, r"nothing for 'norm/beta'.*Received: `weights="),
        (extra, r"no place, the model lacks 'block_9_norm/gamma'"),
        (arrays | {"predictions/alpha": arrays["norm/gamma"]}, "lacks 'predictions/alpha'"),
        (arrays | {"norm/beta": np.zeros(20, "int32")}, "'norm/beta': its numbers are of the type"),
    ):
        safetensors.numpy.save_file(broken, path, {"format": "keras_shiftmlp"})
        with pytest.raises(ValueError, match=message):
            case.build(weights=path)
    with pytest.raises(ValueError, match="path of its own"):
        save_safetensors([*model.layers, *case.build().layers], path)


@once
def test_a_weight_that_a_file_has_twice(tmp_path):
    path = tmp_path / "weights.h5"
    case = MODEL_CASES["s2_mlp_v2"]
    case.build().save_weights(tmp_path / "file.weights.h5")
    (tmp_path / "file.weights.h5").rename(path)
    with h5py.File(path, "a") as file:
        name = "stage_0_block_0_spatial"
        [group] = [g for g in file["layers"].values() if g["vars"].attrs["name"] == name]
        group["vars"]["0"] = group["expand/vars/0"][()]
    with pytest.raises(ValueError, match=f"two arrays of the file are for '{name}/expand/kernel'"):
        case.build(weights=path)


@once
def test_a_body_needs_to_be_told_the_classes(case, tmp_path):
    path = tmp_path / "body.weights.h5"
    case.build(include_top=False, pooling="avg").save_weights(path)
    assert case.build(weights=path, classes=3).output_shape == (None, 3)
    with pytest.raises(ValueError, match="`classes` must say"):
        case.build(weights=path, classes=None)


@once
def test_pretrained_head_takes_softmax_or_nothing(case, saved):
    _, path = saved
    case.build(weights=path, classifier_activation=None)
    case.build(weights=path, classifier_activation="sigmoid", classes=9)
    with pytest.raises(ValueError, match="pretrained head"):
        case.build(weights=path, classifier_activation="sigmoid")


@once
def test_another_network_is_refused(tmp_path):
    path = tmp_path / "file.weights.h5"
    MODEL_CASES["s2_mlp"].build().save_weights(path)
    with pytest.raises(ValueError, match=r"the model lacks 'block_0_spatial_fc1/0'"):
        MODEL_CASES["s2_mlp_v2"].build(weights=path)
    with pytest.raises(ValueError, match=r"that of 'stem/kernel' is \(8, 8, 3, 24\)"):
        MODEL_CASES["s2_mlp"].build(weights=path, dims=(24,))


@once
def test_broken_files_are_refused(case, saved, tmp_path):
    _, path = saved
    broken = tmp_path / "broken.weights.h5"
    broken.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"Received: `(path|weights)="):
        case.build(weights=broken)
    broken.write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"Received: `(path|weights)="):
        case.build(weights=broken)
    with h5py.File(path, "a") as file:
        group = next(g for g in file["layers"].values() if g["vars"].attrs["name"] == "predictions")
        del group["vars"]["1"]
    with pytest.raises(ValueError, match="nothing for 'predictions/bias'"):
        case.build(weights=path)


if __name__ == "__main__":
    for path, names, row_of in (
        (PUBLISHED_PATHS, keras_shiftmlp.list_models(), published_paths),
        (PATHS, MODEL_CASES, lambda name: paths_of(MODEL_CASES[name].build())),
    ):
        rows = json.loads(path.read_text())
        rows |= {name: row_of(name) for name in names if name not in rows}
        lines = (f'"{name}": {json.dumps(row)}' for name, row in sorted(rows.items()))
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
