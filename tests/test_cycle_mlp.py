"""CycleMLP: the layer against its vectors, the published sizes and the released files."""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE

import keras_shiftmlp
from keras_shiftmlp.checkpoints.sources import group_major
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers import CycleFC, SplitAttention

to_numpy = keras.ops.convert_to_numpy
VECTORS = np.load(HERE / "golden_data" / "cycle_mlp_layers.npz")
LAYOUTS = Path(HERE, "..", "..", "shared", "spec", "state_dict_layouts.json")


def weights_of(case):
    keys = [key for key in VECTORS if key.startswith(f"{case}/weights/")]
    return {key.removeprefix(f"{case}/weights/"): VECTORS[key] for key in keys}


@pytest.mark.parametrize(
    ("case", "step_size", "axis"),
    [(0, 3, "width"), (1, 3, "height"), (2, 7, "width"), (3, 5, "height"), (4, 3, "width"),
     (5, 3, "height")],
)  # fmt: skip
@pytest.mark.parametrize("known", [True, False])
def test_cycle_fc_is_that_of_the_released_code(case, step_size, axis, known):
    x, weights = VECTORS[f"cycle_fc_{case}/input"], weights_of(f"cycle_fc_{case}")
    layer = CycleFC(len(weights["bias"]), step_size, axis)
    inputs = keras.Input(x.shape[1:] if known else (None, None, x.shape[-1]))
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([weights["weight"][:, :, 0, 0].T, weights["bias"]])
    expected = VECTORS[f"cycle_fc_{case}/output_f64"]
    np.testing.assert_allclose(to_numpy(model(x)), expected, atol=2e-6)


def test_split_attention_with_biases_is_that_of_the_released_code():
    x, weights = VECTORS["cycle_mlp_mixer/input"], weights_of("cycle_mlp_mixer")
    branches = []
    for axis, key in (("width", "sfc_h"), ("height", "sfc_w")):
        layer = CycleFC(x.shape[-1], axis=axis)
        layer.build(x.shape)
        layer.set_weights([weights[f"{key}.weight"][:, :, 0, 0].T, weights[f"{key}.bias"]])
        branches.append(layer(x))
    branches.append(keras.ops.convert_to_tensor(x @ weights["mlp_c.weight"].T))
    fusion = SplitAttention(pooling="mean", use_bias=True)
    fusion.build([x.shape] * 3)
    fc1, fc2 = (
        [weights[f"reweight.{fc}.{w}"] for w in ("weight", "bias")] for fc in ("fc1", "fc2")
    )
    fusion.set_weights([fc1[0].T, fc1[1], *(group_major(x, 3).T for x in fc2)])
    y = to_numpy(fusion(branches)) @ weights["proj.weight"].T + weights["proj.bias"]
    np.testing.assert_allclose(y, VECTORS["cycle_mlp_mixer/output_f64"], atol=5e-6)


@pytest.mark.parametrize("axis", ["height", "width"])
def test_cycle_fc_in_half_precision(axis):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 11)).astype("float32")
    full = CycleFC(9, axis=axis)
    expected = to_numpy(full(x))
    half = CycleFC(9, axis=axis, dtype="mixed_bfloat16")
    half.build(x.shape)
    half.set_weights(full.get_weights())
    y = half(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(to_numpy(keras.ops.cast(y, "float32")), expected, atol=0.05)
    again = CycleFC.from_config(full.get_config())
    assert (again.step_size, again.axis) == (3, axis)


@pytest.mark.skipif(BACKEND not in ("tensorflow", "torch"), reason="two backends are enough")
@pytest.mark.parametrize("axis", ["height", "width"])
def test_cycle_fc_in_integers(axis):
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 11)).astype("float32")
    layer = CycleFC(9, axis=axis)
    expected = to_numpy(layer(x))
    layer.quantize("int8")
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CycleFC(4, axis="rows"), "`axis` must be 'height' or 'width'.*'rows'"),
        (lambda: CycleFC(4, 0), "`step_size` must be at least 1.*step_size=0"),
        (lambda: CycleFC(4).build((2, 5, 8)), r"`\(B, H, W, C\)`.*\(2, 5, 8\)"),
        (
            lambda: keras_shiftmlp.get_model("CycleMLP", input_shape=(2, 9, 3)),
            r"at least 3 rows and 3 columns.*\(2, 9, 3\)",
        ),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(BACKEND != "numpy", reason="once is enough")
@pytest.mark.parametrize(
    ("size", "parameters", "macs"),
    [
        ("B1", 15_155_400, 2.121523e9),
        ("B2", 26_802_504, 3.875766e9),
        ("B3", 38_385_720, 6.830969e9),
        ("B4", 51_796_552, 10.027164e9),
        ("B5", 75_747_280, 12.232437e9),
    ],
)
def test_published_sizes(size, parameters, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(f"CycleMLP{size}", weights=None)
    assert model.count_params() == parameters
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)
    assert list(model.pyramid_outputs) == ["P2", "P3", "P4", "P5"]


@pytest.mark.skipif(BACKEND != "torch", reason="the released files are PyTorch's")
@pytest.mark.skipif(not LAYOUTS.exists(), reason="the list of the released keys is not here")
def test_a_released_file_of_full_size_loads(tmp_path):
    import torch

    rng = np.random.default_rng(0)
    layout = json.loads(LAYOUTS.read_text())["cyclemlp_b1"]
    state = {key: rng.normal(size=shape).astype("float32") for key, shape in layout.items()}
    torch.save(
        {
            "model": {key: torch.from_numpy(array) for key, array in state.items()},
            "epoch": 299,
            "args": argparse.Namespace(model="CycleMLP_B1"),
        },
        tmp_path / "CycleMLP_B1.pth",
    )
    model = keras_shiftmlp.get_model("CycleMLPB1", weights=tmp_path / "CycleMLP_B1.pth")
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    for path, expected in (
        ("stage_2_block_3_spatial_width/bias", state["network.4.3.attn.sfc_h.bias"]),
        ("stage_3_stem/bias", state["network.5.proj.bias"]),
        ("stage_0_block_1_channel_fc2/kernel", state["network.0.1.mlp.fc2.weight"].T),
        ("predictions/bias", state["head.bias"]),
    ):
        np.testing.assert_array_equal(weights[path], expected)
