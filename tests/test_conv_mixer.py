"""ConvMixer: a file in timm's layout, and what it refuses."""

import numpy as np
import pytest
from cases import once, run
from families import GOLDEN
from safetensors.numpy import save_file
from test_golden import load, weights_of

from keras_shiftmlp.models import ConvMixer, ConvMixer768_32

pytestmark = once


@pytest.mark.parametrize("name", ["conv_mixer_timm", "conv_mixer_timm_relu"])
def test_a_released_file_loads(name, tmp_path):
    arrays = load(name)
    path = tmp_path / "model.safetensors"
    save_file(weights_of(arrays), path)
    model = ConvMixer(
        **GOLDEN[name].hyperparameters,
        weights=path,
        input_shape=arrays["input"].shape[1:],
        include_preprocessing=False,
        classifier_activation=None,
    )
    np.testing.assert_allclose(run(model, arrays["input"]), arrays["logits_f64"], atol=1e-5)


def test_the_smallest_size_has_relu():
    assert ConvMixer768_32.config["activation"] == "relu"
    assert ConvMixer.config["activation"] == "gelu"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: ConvMixer(kernel_size=4), r"`kernel_size` must be odd.*`kernel_size=4`"),
        (lambda: ConvMixer(activation="silu"), "`activation` must be one of 'gelu', 'relu'"),
        (lambda: ConvMixer(depth=0), "`depth`"),
        (lambda: ConvMixer(input_shape=(6, 32, 3)), "at least 7 by 7, one patch"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_image_of_one_patch():
    model = ConvMixer(dim=4, depth=1, kernel_size=3, input_shape=(7, 13, 3), classes=2)
    assert model.get_layer("block_0_spatial").output.shape == (None, 1, 1, 4)
