"""sMLPNet at full size: its counts, the released files' layout, and weights of another size."""

import argparse

import keras
import numpy as np
import pytest
from cases import BACKEND
from layouts import random_state_dict

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.sources import dense
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.models import SMLPNet, SMLPNetSmall, SMLPNetTiny

on_numpy = pytest.mark.skipif(BACKEND != "numpy", reason="large, and the same on each backend")
to_numpy = keras.ops.convert_to_numpy


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@on_numpy
@pytest.mark.parametrize(
    "name, params, macs",
    [
        ("SMLPNetTiny", 24_123_584, 4_989_451_520),
        ("SMLPNetSmall", 48_558_136, 10_312_161_792),
        ("SMLPNetBase", 65_880_408, 13_986_515_200),
    ],
)
def test_parameters_and_macs(name, params, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
    assert sum(w.value.size for w in model.trainable_weights) == params
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)
    assert tuple(model.pyramid_outputs) == ("P2", "P3", "P4", "P5")
    assert model.strides == (4, 8, 16, 32)


@on_numpy
def test_a_released_file_loads(tmp_path):
    torch = pytest.importorskip("torch")
    arrays = random_state_dict("smlpnet_small")
    arrays = {key: torch.as_tensor(array) for key, array in arrays.items()}
    path = tmp_path / "smlp_s.pth"
    state = {"model": arrays, "scaler": {}, "epoch": 299, "args": argparse.Namespace(lr=1e-3)}
    torch.save(state, path)
    model = SMLPNetSmall(weights=str(path))
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    # Block 12 is the first of the third stage, whose map has 14 rows and columns.
    for theirs, ours in (("proj_h", "row"), ("proh_w", "column")):
        kernel = arrays[f"token_mix.12.1.{theirs}.weight"].numpy()
        assert kernel.shape == (14, 14, 1, 1)
        np.testing.assert_array_equal(
            weights[f"block_12_spatial/{ours}/kernel"], kernel[..., 0, 0].T
        )
    np.testing.assert_array_equal(
        weights["block_37_channel_fc1/kernel"],
        arrays["channel_mix.37.2.net.0.weight"].numpy().T,
    )


def test_sparse_mlp_is_its_formula():
    layer, x = layers.SparseMLP(), normal(2, 4, 5, 3)
    layer.build(x.shape)
    p, q, w = (to_numpy(dense.kernel) for dense in (layer.row, layer.column, layer.fuse))
    a = np.einsum("bhwc,wj->bhjc", x, p) + to_numpy(layer.row.bias).reshape(5, 1)
    d = np.einsum("bhwc,hi->biwc", x, q) + to_numpy(layer.column.bias).reshape(4, 1, 1)
    expected = np.concatenate([x, a, d], -1) @ w
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-5)


@pytest.mark.parametrize("old, new", [(8, 16), (16, 8), (7, 9)])
def test_weights_of_another_size_do_the_same_to_smooth_maps(old, new):
    """A smooth kernel on a smooth signal: both are sampled more finely, the result as well."""

    def wave(n, phase):
        return np.cos(np.pi * (np.arange(n) + 0.5) / n + phase)  # half a period on every grid

    layer = layers.SparseMLP()
    layer.build((None, 3, new, 2))
    kernel = (np.outer(wave(old, 0.2), wave(old, -0.1)) / old).astype("float32")
    resampled = layer.row.resample("kernel", kernel, (new, new), (3, new))
    expected = wave(old, 0.4) @ kernel
    places = (np.arange(new) + 0.5) * old / new - 0.5
    expected = np.interp(places, np.arange(old), expected)
    np.testing.assert_allclose(wave(new, 0.4) @ resampled, expected, atol=0.05)
    bias = wave(old, 0).astype("float32")
    resampled = layer.row.resample("bias", bias, (new, 1), (3, new))
    assert resampled.shape == (new,) and resampled.dtype == np.float32
    np.testing.assert_allclose(resampled, wave(new, 0), atol=0.1)
    # A sum over equal content does not depend on the number of positions.
    flat = layer.row.resample("kernel", np.ones((old, old)), (new, new), (3, new))
    np.testing.assert_allclose(flat.sum(0), old)


def test_weights_of_one_size_are_kept():
    layer = layers.SparseMLP()
    layer.build((None, 3, 5, 2))
    for name, array in (("kernel", normal(5, 5)), ("bias", normal(5))):
        kept = layer.row.resample(name, array, array.shape, (3, 5))
        np.testing.assert_allclose(kept, array, rtol=1e-6)
    released = dense(normal(7, 7, 1, 1))
    assert layer.row.resample("kernel", released, (5, 5), (3, 5)).shape == (5, 5)
    strange = normal(4, 5)  # of another layer
    assert layer.row.resample("kernel", strange, (5, 5), (3, 5)) is strange


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: SMLPNetTiny(weights=None, input_shape=(226, 224, 3)), "multiples of the patch"),
        (lambda: SMLPNetTiny(weights=None, input_shape=(28, 28, 3)), "at least 32"),
        (lambda: SMLPNetTiny(weights=None, input_shape=(None, None, 3)), "known height and width"),
        (lambda: SMLPNet(depths=(1, 2)), "One entry per stage"),
        (lambda: layers.SparseMLP()(keras.Input((None, 5, 3))), "known height"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
