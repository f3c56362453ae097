"""gMLP, gMixer and ResMLP: the published sizes, and timm's outputs with the same weights."""

import numpy as np
import pytest
import timm_models
from cases import once, once_on_torch, run

import keras_shiftmlp
from keras_shiftmlp.kernels.initializers import zero_start


@once
@pytest.mark.parametrize(("name", "size"), timm_models.SIZES.items(), ids=timm_models.SIZES)
def test_published_sizes(name, size):
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
    parameters, macs = size
    counted = [weight for weight in model.weights if "/moving_" not in weight.path]
    assert sum(weight.value.size for weight in counted) == parameters
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)


@once_on_torch
@pytest.mark.parametrize(("name", "theirs"), timm_models.NAMES.items())
def test_full_size_is_that_of_timm(name, theirs, tmp_path):
    torch = pytest.importorskip("torch")
    reference = timm_models.random_model(theirs)
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    model = keras_shiftmlp.get_model(
        name,
        weights=tmp_path / "weights.pth",
        include_preprocessing=False,
        classifier_activation=None,
    )
    pixels = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    expected = timm_models.logits(reference, pixels)
    difference = np.abs(run(model, pixels) - expected).max()
    assert difference <= 1e-5 * np.abs(expected).max()
