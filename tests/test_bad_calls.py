"""Wrong arguments raise a helpful error before a layer is built."""

import keras
import numpy as np
import pytest
from cases import once

import keras_shiftmlp as k
from keras_shiftmlp.downloads import fetch as downloads

pytestmark = once
TINY = dict(patch_sizes=(4, 2), dims=(8, 8), depths=(1, 1))


@pytest.fixture(autouse=True)
def nothing_is_built(monkeypatch):
    """Fails if a layer is built, since checks come first."""

    def build(self, *args, **kwargs):
        raise AssertionError("a layer was built before the arguments were checked")

    monkeypatch.setattr(keras.layers.Conv2D, "build", build)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(pooling="mean"), "`pooling='mean'`"),
        (dict(include_top=False, pooling=3), "`pooling=3`"),
        (dict(classes=0), "`classes=0`"),
        (dict(classes=2.5), "`classes=2.5`"),
        (dict(classes=True), "`classes=True`"),
        (dict(classifier_activation="softmix"), "softmix"),
        (dict(input_shape=(32, 32)), r"`input_shape=\(32, 32\)`"),
        (dict(input_shape=(32, 32, None)), "known channels"),
        (dict(input_shape=(0, 32, 3)), "at least 1"),
        (dict(input_shape=(32, 32, 5), preprocessing="zero_to_one"), "not RGB"),
        (dict(drop_path_rate=-0.1), "`drop_path_rate=-0.1`"),
        (dict(drop_path_rate=1.0), "`drop_path_rate=1.0`"),
        (dict(dropout_rate=-1), "`dropout_rate=-1`"),
        (dict(weights="imagenot"), "`weights='imagenot'`"),
        (dict(weights="no/such.weights.h5"), "does not exist"),
        (dict(weights=7), "`weights=7`"),
        (dict(input_tensor=np.zeros((1, 32, 32, 3))), "Keras tensor"),
        (dict(dims=(3, 8)), "at least 4"),
        (dict(dims=(8,)), "One entry per stage"),
        (dict(dims=(8, 8.5)), "`dims="),
        (dict(depths=(1, 0)), "`depths="),
        (dict(mlp_ratio=0), "`mlp_ratio=0`"),
        (dict(split_attention_ratio=-1), "`split_attention_ratio=-1`"),
        (dict(split_attention_pooling="max"), "`split_attention_pooling='max'`"),
    ],
)
def test_s2_mlp_v2(kwargs, message):
    with pytest.raises(ValueError, match=message):
        k.S2MLPv2(**{**TINY, **kwargs})


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: k.Mixer(input_shape=(None, 32, 3)), "one row per patch"),
        (lambda: k.Mixer(gelu="relu"), "`gelu='relu'`"),
        (lambda: k.S2MLP(dims=(3,)), "`dims` must be .* at least 4"),
        (lambda: k.S2MLP(dims=(7,), setting="b"), "at least 8"),
        (lambda: k.S2MLP(setting="k"), "`setting='k'`"),
        (lambda: k.S2MLP(norm="group"), "`norm='group'`"),
        (lambda: k.S2MLP(norm_position="mid"), "`norm_position='mid'`"),
        (lambda: k.MSMLP(dims=(6, 12, 24, 48)), "can't be cut"),
        (lambda: k.MSMLP(mlp_ratio=0), "`mlp_ratio=0`"),
        (lambda: k.MSMLP(shifts=(0, 1)), "one entry per group"),
        (lambda: k.get_model("s2mlpv2smal"), "S2MLPv2Small"),
        (lambda: k.preprocess_input(np.zeros((1, 1, 3)), "imagenet"), "No such model"),
    ],
)
def test_families(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_unknown_argument_names_the_constructor():
    with pytest.raises(TypeError, match=r"S2MLPv2Small\(\) .*'clases'"):
        k.S2MLPv2Small(clases=3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: k.S2MLPv2(dims=(0, 8), weights="https://localhost/x.npz"), "`dims="),
        (lambda: k.MixerB16(weights="imagenet", depth=3), "belong to `depth=12`.*`depth=3`"),
        (lambda: k.MixerB16(weights="imagenet", gelu="erf"), "belong to `gelu='tanh'`"),
        (lambda: k.MixerB16(weights="imagenet", final_norm=False), "belong to `final_norm=True`"),
        (lambda: k.MixerB16(input_shape=(224, 224, 4)), "three channels"),
        (lambda: k.MixerB16(classifier_activation="relu"), "'softmax' or None"),
    ],
)
def test_checks_come_before_any_download(call, message, monkeypatch):
    def fetch(*args, **kwargs):
        raise AssertionError("a download began before the arguments were checked")

    monkeypatch.setattr(downloads, "fetch", fetch)
    with pytest.raises(ValueError, match=message):
        call()


def test_a_named_size_takes_overrides(monkeypatch):
    monkeypatch.undo()
    model = k.S2MLPv2Nano(weights=None, depths=(1, 1), final_norm=False, classes=3)
    layers = {layer.name for layer in model.layers}
    assert "norm" not in layers and "stage_1_block_0_spatial" in layers
    assert "stage_1_block_1_spatial" not in layers
    # The rest is the size's own.
    assert model.get_layer("stage_0_block_0_spatial").pooling == "mean"


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match="set_image_data_format"):
        k.S2MLPv2(**TINY)


def test_input_shape_must_be_that_of_the_tensor():
    with pytest.raises(ValueError, match="that of `input_tensor`"):
        k.S2MLPv2(**TINY, input_tensor=keras.Input((32, 32, 3)), input_shape=(64, 64, 3))


def test_names_ignore_case_and_separators(monkeypatch):
    monkeypatch.undo()
    for name in ("s2mlpv2", "S2-MLPv2", "s2_mlp_v2"):
        assert k.get_model(name, **TINY, classes=3).output_shape == (None, 3)
    assert k.list_models("mixer*16") == ["MixerB16", "MixerL16", "MixerS16"]
