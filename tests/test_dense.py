"""Our networks inside KerasHub and KerasCV: classifiers, detectors, segmenters, presets."""

import importlib.util
import subprocess
import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, MODEL_CASES, TRAINS, once

import keras_shiftmlp

needs_hub = pytest.mark.skipif(
    not TRAINS or importlib.util.find_spec("keras_hub") is None, reason="KerasHub trains here"
)
pytestmark = [
    # KerasHub passes a grain dataset to `fit` and keeps `shuffle=True`.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed, but will be ignored"),
    # The preset of a task has an optimizer state of the head too.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer"),
    # KerasCV names the input of its RetinaNet and passes it without the name.
    pytest.mark.filterwarnings("ignore:(?s).*structure of `inputs` doesn't match the expected"),
]
needs_cv = pytest.mark.skipif(
    not TRAINS or importlib.util.find_spec("keras_cv") is None, reason="KerasCV trains here"
)

EAGER = BACKEND == "tensorflow"  # a few steps take less time than the traces of these heads


@pytest.fixture
def hub():
    return importlib.import_module("keras_shiftmlp.keras_hub")


@pytest.fixture
def model():
    """A tiny MS-MLP without a head, with the strides of the published sizes."""
    return keras_shiftmlp.MSMLP(
        dims=(5, 6, 7, 8), depths=(1, 1, 1, 1), kernel_sizes=((1, 3),) * 4, shifts=(-1, 1),
        include_top=False, input_shape=(None, None, 3), name="tiny",
    )  # fmt: skip


def with_random_weights(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0, 0.3, x.shape).astype(x.dtype) for x in model.get_weights()])
    return model


def pixels(*shape):
    return np.random.default_rng(1).uniform(0, 255, (*shape, 3)).astype("float32")


@once
def test_missing_package_is_named():
    code = """
import sys
sys.modules["keras_hub"] = None
try:
    import keras_shiftmlp.keras_hub
except ImportError as error:
    assert "pip install 'keras_shiftmlp[hub]'" in str(error)
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parent)


@once
def test_package_imports_neither_library():
    code = """
import sys, keras_shiftmlp
[getattr(keras_shiftmlp, name) for name in keras_shiftmlp.__all__]
assert not {"keras_hub", "keras_cv"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=HERE.parent)


@needs_hub
def test_backbone_preset(hub, model, tmp_path):
    import keras_hub

    backbone = with_random_weights(hub.Backbone(model))
    backbone.save_to_preset(str(tmp_path))
    again = keras_hub.models.Backbone.from_preset(str(tmp_path))
    x = pixels(2, 37, 70)
    before = backbone.predict(x, verbose=0)
    np.testing.assert_array_equal(again.predict(x, verbose=0), before)
    np.testing.assert_array_equal(again.image_model().predict(x, verbose=0), before)
    assert type(again) is hub.Backbone and again.name == "tiny_backbone"
    half = hub.Backbone.from_preset(str(tmp_path), dtype="bfloat16")
    assert {str(x.dtype) for x in half.weights} == {"bfloat16"}
    difference = np.abs(half.predict(x, verbose=0).astype("float32") - before).max()
    assert 0 < difference < 0.1 * np.abs(before).max()


@needs_hub
def test_checkpoints_own_network_is_in_the_preset(hub, tmp_path):
    """A preset restores the settings of a checkpoint, such as its normalisation."""
    model = keras_shiftmlp.MSMLPNano(include_top=False)
    backbone = hub.Backbone(model)
    backbone.save_to_preset(str(tmp_path))
    again = hub.Backbone.from_preset(str(tmp_path))
    assert again.image_model().preprocessing.get_config() == model.preprocessing.get_config()
    assert "cifar10" not in (tmp_path / "config.json").read_text()
    x = pixels(2, 32, 32)
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@needs_hub
def test_classifier(hub, model, tmp_path):
    import keras_hub

    classifier = hub.ImageClassifier(hub.Backbone(model), num_classes=3)
    x = pixels(4, 32, 48)
    history = classifier.fit(x, np.arange(4) % 3, batch_size=4, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    classifier.save_to_preset(str(tmp_path))
    before = classifier.predict(x, verbose=0)
    for task in (hub.ImageClassifier, keras_hub.models.ImageClassifier):
        again = task.from_preset(str(tmp_path))
        np.testing.assert_array_equal(again.predict(x, verbose=0), before)
    assert hub.ImageClassifier.from_preset(str(tmp_path), num_classes=7).output_shape == (None, 7)


@needs_hub
def test_low_rank_updates(hub, model, tmp_path):
    backbone = with_random_weights(hub.Backbone(model))
    x = pixels(1, 32, 48)
    before = backbone.predict(x, verbose=0)
    again = hub.Backbone.from_config(backbone.get_config())
    again.set_weights(backbone.get_weights())
    backbone.enable_lora(2)
    backbone.compile()  # discards the compiled function
    # Two dense layers in each of four blocks: two factors and a bias each.
    assert len(backbone.trainable_variables) == 24
    np.testing.assert_allclose(backbone.predict(x, verbose=0), before, rtol=1e-4, atol=1e-4)
    for layer in backbone.layers:
        if getattr(layer, "lora_rank", None):
            layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    backbone.save_lora_weights(str(tmp_path / "updates.lora.h5"))
    after = backbone.predict(x, verbose=0)
    assert np.abs(after - before).max() > 0.01
    again.load_lora_weights(str(tmp_path / "updates.lora.h5"))
    np.testing.assert_array_equal(again.predict(x, verbose=0), after)


@needs_hub
@pytest.mark.parametrize("levels, strides", [((7, 2), r"\(7, 14\)"), ((14,), r"\(14,\)")])
def test_other_strides_are_named(hub, levels, strides):
    sizes = dict(patch_sizes=levels, dims=(8,) * len(levels), depths=(1,) * len(levels))
    model = keras_shiftmlp.S2MLPv2(**sizes, include_top=False)
    backbone = hub.Backbone(model)
    with pytest.raises(ValueError, match=f"with the strides {strides}"):
        _ = backbone.pyramid_outputs


@needs_hub
def test_backbone_needs_a_map(hub):
    with pytest.raises(ValueError, match="Received: `model="):
        hub.Backbone(MODEL_CASES["s2_mlp"].build())


@needs_hub
def test_hub_segmenter(hub, model):
    import keras_hub

    encoder = keras_hub.models.DeepLabV3Backbone(
        hub.Backbone(model), "P5", upsampling_size=8, dilation_rates=[2],
        low_level_feature_key="P2", projection_filters=8,
    )  # fmt: skip
    segmenter = keras_hub.models.DeepLabV3ImageSegmenter(encoder, 2)
    segmenter.compile(run_eagerly=EAGER)
    masks = keras.utils.to_categorical(np.arange(2 * 64 * 96).reshape(2, 64, 96) % 2, 2)
    history = segmenter.fit(pixels(2, 64, 96), masks, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert segmenter.predict(pixels(2, 64, 96), verbose=0).shape == (2, 64, 96, 2)


def boxes_and_labels(size, key):
    boxes = np.array([[[8, 8, 40, 40], [30, 20, 62, 52]]] * size, "float32")
    return {"boxes": boxes, key: np.array([[0, 1]] * size, "float32")}


@needs_hub
def test_hub_detector(hub, model, tmp_path):
    import keras_hub

    pyramid = keras_hub.models.RetinaNetBackbone(hub.Backbone(model), 3, 5, use_p5=False)
    nms = keras_hub.layers.NonMaxSuppression("xyxy", from_logits=True, confidence_threshold=0)
    detector = keras_hub.models.RetinaNetObjectDetector(
        pyramid, 2, "xyxy", pre_logits_num_conv_layers=1, prediction_decoder=nms
    )
    detector.compile(run_eagerly=EAGER)
    history = detector.fit(pixels(2, 64, 96), boxes_and_labels(2, "labels"), verbose=0).history
    assert 0 < history["loss"][0] < np.inf
    found = detector.predict(pixels(1, 512, 768), verbose=0)
    assert found["boxes"].shape == (1, 100, 4) and found["num_detections"][0] > 0
    assert found["boxes"].max() > 512
    detector.save_to_preset(str(tmp_path))
    again = keras_hub.models.ObjectDetector.from_preset(str(tmp_path))
    for one, two in zip(again.get_weights(), detector.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert isinstance(again.backbone.image_encoder, hub.Backbone)


@needs_cv
def test_cv_segmenter(model):
    import keras_cv

    segmenter = keras_cv.models.DeepLabV3Plus(model, 2, projection_filters=8)
    segmenter.compile("adam", "categorical_crossentropy", run_eagerly=EAGER)
    masks = keras.utils.to_categorical(np.arange(2 * 64 * 96).reshape(2, 64, 96) % 2, 2)
    assert np.isfinite(segmenter.fit(pixels(2, 64, 96), masks, verbose=0).history["loss"]).all()
    assert segmenter.predict(pixels(2, 64, 96), verbose=0).shape == (2, 64, 96, 2)


@needs_cv
def test_cv_detector(model):
    import keras_cv

    with pytest.raises(KeyError, match="P3"):
        other = keras_shiftmlp.S2MLPv2(
            patch_sizes=(7, 2), dims=(8, 8), depths=(1, 1), include_top=False
        )
        keras_cv.models.RetinaNet(other, 2, "xyxy")
    detector = keras_cv.models.RetinaNet(model, 2, "xyxy")
    losses = dict(box_loss="smoothl1", classification_loss="focal")
    detector.compile(optimizer="adam", **losses, run_eagerly=EAGER)
    truth = boxes_and_labels(2, "classes")
    assert detector.fit(pixels(2, 64, 96), truth, verbose=0).history["loss"][0] > 0
    if BACKEND == "torch":  # non-maximum suppression needs torchvision
        return
    found = detector.predict(pixels(2, 64, 96), verbose=0)
    assert found["boxes"].shape == (2, 100, 4)
