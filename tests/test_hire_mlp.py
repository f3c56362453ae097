"""Hire-MLP at full size: its counts, the released files' layout, and what it refuses."""

import argparse

import keras
import numpy as np
import pytest
from cases import BACKEND, as_one_program, run
from layouts import random_state_dict

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.models import HireMLP, HireMLPTiny

on_numpy = pytest.mark.skipif(BACKEND != "numpy", reason="large, and the same on each backend")
to_numpy = keras.ops.convert_to_numpy


@on_numpy
@pytest.mark.parametrize(
    "name, params, macs",
    [
        ("HireMLPTiny", 18_041_672, 2_144_002_048),
        ("HireMLPSmall", 33_113_848, 4_231_090_176),
        ("HireMLPBase", 58_226_856, 8_110_620_672),
        ("HireMLPLarge", 95_723_944, 13_421_604_864),
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
    arrays = random_state_dict("hire_mlp_tiny")
    arrays = {key: torch.as_tensor(array) for key, array in arrays.items()}
    args = argparse.Namespace(model="hire_mlp_tiny", lr=5e-4)
    path = tmp_path / "hire_mlp_tiny.pth"
    torch.save({"model": arrays, "optimizer": {}, "epoch": 309, "args": args}, path)
    model = HireMLPTiny(weights=str(path))
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    # Row 1 of the region and channel 5 of 128, in 3 rows and 128 channels.
    theirs = arrays["network.2.1.attn.mlp_h1.weight"][7, 5 * 3 + 1, 0, 0]
    ours = weights["stage_1_block_1_spatial/height_fc1/kernel"][1 * 128 + 5, 7]
    assert ours == theirs.numpy()
    theirs = arrays["network.6.0.attn.mlp_w1_norm.running_var"].numpy()
    ours = weights["stage_3_block_0_spatial/width_norm/moving_variance"]
    np.testing.assert_array_equal(ours, theirs)


def test_shifts_restart_in_each_stage():
    model = HireMLP(dims=(4,) * 4, depths=(3, 3, 4, 2), input_shape=(32, 32, 3), classes=2)
    kind = layers.HierarchicalRearrangement
    shifts = [layer.shift for layer in model.layers if isinstance(layer, kind)]
    assert shifts == [0, 2, 0, 0, 2, 0, 0, 1, 2, 0, 0, 1]


@pytest.mark.parametrize("shape", [(5, 7), (2, 3), (9, 4)])
def test_rearrangement_is_its_formula(shape):
    region, shift, channels = 4, 3, 5
    layer = layers.HierarchicalRearrangement(region, shift)
    x = np.random.default_rng(0).normal(size=(2, *shape, channels)).astype("float32")
    layer.build(x.shape)
    names = ("height_fc1", "height_norm", "height_fc2", "width_fc1", "width_norm", "width_fc2")
    layer.attention.call, layer.project.call = keras.ops.stack, lambda x: x
    seen = to_numpy(as_one_program(layer)(x))
    for axis, branch in enumerate((names[:3], names[3:])):
        fc1, norm, fc2 = (getattr(layer, name) for name in branch)
        rows = np.moveaxis(x, 1 + axis, 0)  # (B, H, W, C) -> (n, B, m, C)
        n = len(rows)
        expected = np.empty_like(rows)
        for start in range(0, n, region):
            # Row i of the rolled map is row i - shift; behind the last row it starts again.
            chosen = [(i - shift) % n for i in range(start, start + region)]
            y = np.concatenate([rows[i] for i in chosen], -1)  # (B, m, 4 * C)
            y = y @ to_numpy(fc1.kernel) / np.sqrt(1 + norm.epsilon)
            y = np.maximum(y, 0) @ to_numpy(fc2.kernel)
            for k, i in enumerate(chosen[: n - start]):
                expected[i] = y[..., k * channels : (k + 1) * channels]
        actual = np.moveaxis(seen[axis], 1 + axis, 0)
        np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: HireMLPTiny(weights=None, input_shape=(18, 32, 3)), "at least 19 by 19"),
        (lambda: HireMLP(region_sizes=(4, 3)), "One entry per stage"),
        (lambda: HireMLP(shift_units=(2, 2, 0, 1)), "`shift_units`"),
        (lambda: layers.HierarchicalRearrangement(0), "`region_size=0`"),
        (lambda: layers.HierarchicalRearrangement(2, -1), "`shift=-1`"),
        (
            lambda: layers.HierarchicalRearrangement(5)(np.zeros((1, 2, 9, 4), "float32")),
            "at least 3 on each side",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_small_image_is_refused_where_the_size_is_free():
    model = HireMLP(
        dims=(4, 4), depths=(1, 1), region_sizes=(4, 3), shift_cycles=(2, 2), shift_units=(2, 1),
        include_top=False,
    )  # fmt: skip
    assert run(model, np.zeros((1, 11, 19, 3), "float32")).shape == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="at least 2 on each side"):
        run(model, np.zeros((1, 6, 19, 3), "float32"))
