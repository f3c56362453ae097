"""KerasHub's own tests on our classes, then photos, presets and uploads."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys

import hub as local_hub
import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, SAMPLE, TRAINS, once, once_on_torch

import keras_shiftmlp as k
from keras_shiftmlp.catalogue import list_weights, weights_info
from keras_shiftmlp.checkpoints import find
from keras_shiftmlp.publishing import publish
from keras_shiftmlp.publishing.model_card import model_card

if not TRAINS:
    pytest.skip("KerasHub trains on three backends", allow_module_level=True)
keras_hub = pytest.importorskip("keras_hub")
test_case = pytest.importorskip("keras_hub.src.tests.test_case")
parameterized = pytest.importorskip("absl.testing.parameterized")
hub = importlib.import_module("keras_shiftmlp.keras_hub")

pytestmark = [
    # KerasHub passes a grain dataset to `fit` and keeps `shuffle=True`.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed, but will be ignored"),
    # The preset of a task has an optimizer state of the head too.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
    # KerasHub's classifiers compile themselves, and Keras warns when it loads one.
    pytest.mark.filterwarnings("ignore:`compile\\(\\)` was not called as part of model loading"),
]
# PyTorch compiles nothing, so all families run there.
FAMILIES = list(MODEL_CASES) if BACKEND == "torch" else ["resmlp"]
CLASSIFIERS = SAMPLE if BACKEND == "torch" else ["resmlp"]  # all families wear the same head
PRESET = "ms_mlp_nano_cifar10"
PRESET_OF_MIXER = "mixer_nano_cifar10"


def photos(*shape):
    return np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype("float32")


def backbone(name="resmlp", **kwargs):
    return hub.Backbone(MODEL_CASES[name].build(include_top=False, **kwargs))


class KerasHubTest(test_case.TestCase):
    """The tests that KerasHub runs on its own models.

    They cannot do one thing: `run_data_format_check` needs `channels_first`, and our networks take
    `channels_last` only.
    """

    test_session = None  # not a test, but TensorFlow calls it one

    @parameterized.named_parameters((name, name) for name in FAMILIES)
    def test_backbone(self, name):
        case = MODEL_CASES[name]
        height, width, _ = case.input_shape
        strides = [2 ** int(level[1:]) for level in case.levels]
        self.run_vision_backbone_test(
            cls=hub.Backbone,
            init_kwargs={"model": case.build(include_top=False, include_preprocessing=False)},
            input_data=keras.ops.ones((2, *case.input_shape)),
            expected_output_shape=(2, *case.map_shape),
            expected_pyramid_output_keys=case.levels,
            expected_pyramid_image_sizes=[(height // x, width // x) for x in strides],
            run_data_format_check=False,
        )

    @parameterized.named_parameters((name, name) for name in CLASSIFIERS)
    def test_classifier(self, name):
        body = backbone(name, include_preprocessing=False)
        # It does not resize: TensorFlow, which `tf.data` uses, rounds differently from the others.
        converter = body.image_converter(crop_fraction=1.0)
        self.run_task_test(
            cls=hub.ImageClassifier,
            init_kwargs={
                "backbone": body,
                "num_classes": 2,
                "preprocessor": hub.ImageClassifierPreprocessor(converter),
            },
            train_data=(photos(2, 32, 48), np.array([0, 1])),
            expected_output_shape=(2, 2),
        )

    def test_saving(self):
        body = backbone(include_preprocessing=False)
        arguments = dict(num_classes=2, pooled_norm_epsilon=1e-5, class_names=("a", "b"))
        for cls, kwargs in (
            (hub.Backbone, {"model": body.image_model()}),
            (hub.ImageClassifier, {"backbone": body, **arguments}),
        ):
            self.run_model_saving_test(cls, kwargs, keras.ops.ones((2, 32, 48, 3)))

    def test_image_converter(self):
        size = (60, 80) if BACKEND == "tensorflow" else (32, 48)
        kwargs = {"image_size": (32, 48), "scale": [0.1, 0.2, 0.3], "offset": [1.0, 2.0, 3.0]}
        self.run_preprocessing_layer_test(hub.ImageConverter, kwargs, photos(2, *size))
        expected = np.clip(photos(2, 32, 48), 0, 255) * kwargs["scale"] + kwargs["offset"]
        self.assertAllClose(hub.ImageConverter(**kwargs)(photos(2, 32, 48)), expected, atol=1e-4)

    def test_preprocessor(self):
        converter = hub.ImageConverter(image_size=(32, 48), scale=1 / 255)
        self.run_preprocessing_layer_test(
            hub.ImageClassifierPreprocessor,
            {"image_converter": converter},
            (photos(2, 32, 48), np.array([0, 1]), np.array([0.5, 1.0])),
        )

    def test_presets(self):
        images = keras.ops.ones((2, 32, 32, 3))
        sketch = hub.Backbone.from_preset(PRESET_OF_MIXER, load_weights=False)
        for cls, shape in (
            (hub.Backbone, (2, *sketch.output_shape[1:])),
            (hub.ImageClassifier, (2, 10)),
            (hub.ImageConverter, (2, 32, 32, 3)),
            (hub.ImageClassifierPreprocessor, (2, 32, 32, 3)),
        ):
            self.run_preset_test(cls, PRESET_OF_MIXER, images, expected_output_shape=shape)


@once_on_torch
def test_doctests():
    for module in pkgutil.iter_modules(hub.__path__, f"{hub.__name__}."):
        assert doctest.testmod(importlib.import_module(module.name)).failed == 0


@pytest.mark.parametrize("size", [(60, 91), (91, 60), (64, 64), (57, 200)])
@pytest.mark.parametrize("crop_fraction", [1.0, 0.875])
def test_photos_are_prepared_as_for_evaluation(size, crop_fraction):
    model = k.MixerNano(weights=None, include_preprocessing=False)
    model.preprocessing.crop_fraction = crop_fraction
    # A smooth picture: Pillow clips between its two passes, which noise would show.
    rows, columns = np.meshgrid(*map(np.arange, size), indexing="ij")
    photo = 127 + 120 * np.stack([np.sin(rows / 9), np.cos(columns / 9), np.sin(rows / 7)], -1)
    photo = photo.round().astype("uint8")
    expected = k.preprocess_input(k.eval_transform(model)(photo), model)
    converter = hub.ImageClassifier.from_model(model).preprocessor.image_converter
    for result in (converter(photo), converter([photo, photo[:-2]])[0]):
        level = 1 / (255 * 0.5)
        np.testing.assert_allclose(keras.ops.convert_to_numpy(result), expected, atol=1.2 * level)


def test_photos_of_unknown_size_in_a_dataset():
    import tensorflow as tf

    converter = hub.ImageConverter(image_size=(16, 24), crop_fraction=0.9)
    images = [photos(40, 30), photos(20, 50)]
    dataset = tf.data.Dataset.from_generator(
        lambda: iter(images), output_signature=tf.TensorSpec((None, None, 3), "float32")
    )
    batch = next(iter(dataset.map(converter).batch(2)))
    expected = converter(images)
    assert batch.shape == tuple(expected.shape) == (2, 16, 24, 3)
    # The frameworks round differently.
    np.testing.assert_allclose(batch, keras.ops.convert_to_numpy(expected), atol=0.01)


def test_bad_calls_of_the_converter():
    with pytest.raises(ValueError, match=r"Received: `crop_fraction=1\.1`"):
        hub.ImageConverter(crop_fraction=1.1)
    inputs = {"images": photos(1, 8, 8), "bounding_boxes": {}}
    with pytest.raises(ValueError, match=r"with the keys \['bounding_boxes', 'images'\]"):
        hub.ImageConverter(image_size=(4, 4))(inputs)


def test_stretched_photos():
    converter = hub.ImageConverter(image_size=(8, 8), crop_to_aspect_ratio=False, crop_fraction=0.5)
    photo = np.broadcast_to(8.0 * np.arange(32)[:, None], (16, 32, 3))
    result = keras.ops.convert_to_numpy(converter(photo))
    assert result.shape == (8, 8, 3) and result[:, 0].max() < 20 and result[:, -1].min() > 228


def test_pixels_stay_in_their_range():
    """Cubic interpolation exceeds it at this edge."""
    photo = np.where(np.arange(16)[:, None] < 8, 0.0, 255.0) * np.ones((16, 16, 3))
    result = keras.ops.convert_to_numpy(hub.ImageConverter(image_size=(24, 24))(photo))
    assert result.min() == 0 and result.max() == 255


@once_on_torch
def test_config_is_not_changed_by_its_use():
    config = backbone().get_config()
    before = repr(config)
    hub.Backbone.from_config(config)
    assert repr(config) == before


@once_on_torch
@pytest.mark.parametrize("normalizes", [True, False])
def test_another_dtype(normalizes):
    body = backbone("ms_mlp", include_preprocessing=normalizes)
    half = hub.Backbone(body.image_model(), dtype="bfloat16")
    for one, two in zip(body.weights, half.weights, strict=True):
        assert two.dtype == "bfloat16"
        expected = keras.ops.cast(one, "bfloat16")
        assert bool(keras.ops.all(two.value == expected))
    expected = "float32" if normalizes else "bfloat16"
    assert half.image_model().preprocessing.compute_dtype == expected


@pytest.mark.parametrize(
    "model, preset",
    [("MixerNano", PRESET_OF_MIXER), pytest.param("MSMLPNano", PRESET, marks=once_on_torch)],
)
def test_labels_of_photos(model, preset):
    """A preset returns what the model returns for pixels that `eval_transform` prepared."""
    model = k.get_model(model, classifier_activation=None)
    classifier = hub.ImageClassifier.from_preset(preset)
    photo = np.kron(photos(8, 8), np.ones((8, 8, 1))).round().astype("uint8")
    logits = classifier.predict(photo[None], verbose=0)
    expected = model.predict(k.eval_transform(model)(photo)[None], verbose=0)
    np.testing.assert_allclose(logits, expected, atol=0.05 * np.abs(expected).max())
    assert classifier.class_names == model.class_names
    [[(_, label, _)]] = k.decode_predictions(logits, top=1, class_names=classifier.class_names)
    assert label == model.class_names[expected.argmax()]


def test_head_of_a_preset():
    """With `num_classes` the dense layer is fresh, even if the number is the checkpoint's."""
    pretrained, fresh, random = (
        hub.ImageClassifier.from_preset(PRESET, **kwargs)
        for kwargs in ({}, {"num_classes": 10}, {"load_weights": False})
    )
    for one, two in zip(pretrained.backbone.get_weights(), fresh.backbone.get_weights()):
        np.testing.assert_array_equal(one, two)
    gamma = [x.pooled_norm.get_weights()[0] for x in (pretrained, fresh, random)]
    assert (gamma[0] == gamma[1]).all() and gamma[0].std() > 0.01 and (gamma[2] == 1).all()
    kernels = [x.output_dense.get_weights()[0] for x in (pretrained, fresh)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01
    with pytest.raises(
        ValueError, match="Received: `preset='resmlp_s12_dino'`, `num_classes=None`"
    ):
        hub.ImageClassifier.from_preset("resmlp_s12_dino")


def test_preset_without_weights_has_the_checkpoints_settings():
    one, two = (hub.Backbone.from_preset(PRESET_OF_MIXER, load_weights=x) for x in (True, False))
    expected = weights_info("MixerNano", "cifar10")["preprocessing"]
    for facts in (x.image_converter().get_config() for x in (one, two)):
        assert facts["crop_fraction"] == expected["crop_fraction"] != 0.875
        assert facts["scale"] == [1 / (255 * x) for x in expected["std"]]
    gelu = {x.activation for x in two.image_model().layers if hasattr(x, "activation")}
    assert gelu == {x.activation for x in one.image_model().layers if hasattr(x, "activation")}


def test_arguments_of_a_preset():
    body = hub.Backbone.from_preset(
        PRESET, image_shape=(64, 96, 3), dtype="bfloat16", name="mine", load_weights=False
    )
    assert body.input_shape == (None, 64, 96, 3) and body.name == "mine"
    assert {x.dtype for x in body.weights} == {"bfloat16"}
    assert body.image_converter().image_size == (64, 96)


@once_on_torch
def test_names_of_presets():
    rows = list_weights()
    for cls in (hub.Backbone, hub.ImageClassifier, hub.ImageConverter):
        found = [(x["model"], x["tag"]) for x in cls.presets.values()]
        assert sorted(found) == sorted((row["model"], row["tag"]) for row in rows)
    wanted = {"ms_mlp_tiny_imagenet", "gfnet_h_s_imagenet", "mixer_b16_imagenet21k_miil", PRESET}
    assert wanted <= set(hub.Backbone.presets)
    facts = hub.Backbone.presets["ms_mlp_tiny_imagenet"]["metadata"]
    assert facts["params"] == 28656232 and "82.1 % (MS-MLP README)" in facts["description"]


@once_on_torch
def test_a_name_asks_for_the_authors_file(monkeypatch):
    asked = []

    def no_network(source, *args):
        asked.append(source["url"])
        raise OSError("no network")

    monkeypatch.setattr(find, "published_file", no_network)
    with pytest.raises(OSError, match="No source gave the file of ResMLPS12 imagenet"):
        hub.Backbone.from_preset("resmlp_s12_imagenet")
    assert asked and all("resmlp_12" in url for url in asked)


@once_on_torch
def test_a_name_finds_the_file_in_the_users_place(tmp_path, monkeypatch):
    model = k.MixerNano(weights=None)
    model.set_weights([np.full(x.shape, 0.5) for x in model.weights])
    publish(model, "MixerNano", "cifar10", dataset="x", license="x", folder=tmp_path)
    monkeypatch.setenv("KERAS_SHIFTMLP_WEIGHTS", str(tmp_path))
    body = hub.Backbone.from_preset(PRESET_OF_MIXER)
    assert all((x == 0.5).all() for x in body.get_weights())


def test_preset_of_a_backbone_makes_a_classifier(tmp_path):
    body = backbone("ms_mlp", input_shape=(None, None, 3))
    body.save_to_preset(str(tmp_path))
    classifier = keras_hub.models.ImageClassifier.from_preset(str(tmp_path), num_classes=3)
    assert type(classifier) is hub.ImageClassifier
    converter = classifier.preprocessor.image_converter
    # The backbone normalises the pixels, so the converter does not.
    assert converter.image_size == (224, 224) and converter.scale is None
    for one, two in zip(body.get_weights(), classifier.backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_bad_calls_of_the_classifier():
    body = backbone()
    for kwargs in ({"pooling": "sum"}, {"class_names": ["a"]}):
        [(key, value)] = kwargs.items()
        with pytest.raises(ValueError, match="Received: `" + re.escape(f"{key}={value!r}")):
            hub.ImageClassifier(body, num_classes=2, **kwargs)
    with pytest.raises(ValueError, match="must be an ImageModel with a classifier"):
        hub.ImageClassifier.from_model(body.image_model())


LOAD = """
import sys
import numpy as np
import keras_hub
import keras_shiftmlp.keras_hub
folder = sys.argv[1]
keras_shiftmlp.keras_hub.upload_preset("hf://lab/nano", folder)
for address in ("hf://lab/nano", folder):
    model = keras_hub.models.ImageClassifier.from_preset(address)
    print(model.predict(np.ones((1, 40, 60, 3)), verbose=0).tolist(), model.class_names[0])
"""


@once
def test_presets_in_another_process(tmp_path):
    """A folder and its upload are loaded with KerasHub's own class."""
    pytest.importorskip("huggingface_hub")
    folder = str(tmp_path / "preset")
    classifier = hub.ImageClassifier.from_preset(PRESET)
    classifier.save_to_preset(folder)
    logits = classifier.predict(np.ones((1, 40, 60, 3)), verbose=0).tolist()
    with local_hub.running() as server:
        # The client reads its environment when it is imported.
        environment = {
            **os.environ, "HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path), "no_proxy": "*",
            "HF_TOKEN": "hf_none", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        output = subprocess.run(
            [sys.executable, "-c", LOAD, folder],
            cwd=HERE.parent, env=environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        card = server.repositories["lab/nano"]["README.md"].decode()
    assert output.splitlines()[-2:] == [f"{logits} airplane"] * 2
    assert "import keras_shiftmlp.keras_hub" in card and '("hf://lab/nano")' in card
    assert "task.weights.h5" in server.repositories["lab/nano"]


@once_on_torch
def test_upload_of_what_is_no_preset(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        hub.upload_preset("hf://lab/nano", str(tmp_path))
    assert not list(tmp_path.iterdir())


@once_on_torch
def test_model_card_names_the_import(tmp_path):
    model = k.MixerNano(weights=None, classes=2)
    entry = publish(model, "MixerNano", "ours", dataset="x", license="x", folder=tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", model_card(model, entry, "a/b"), re.S)
    [block] = [block for block in blocks if "import keras_shiftmlp.keras_hub" in block]
    names = {"model": model}
    exec(block, names)
    assert names["classifier"].predict(photos(1, 40, 60), verbose=0).shape == (1, 2)
