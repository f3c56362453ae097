"""ShiftViT: its shift against the released code, its sizes and the authors' files."""

import argparse

import keras
import numpy as np
import pytest
from cases import HERE, MODEL_CASES, as_one_program, once, run

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints import sources
from keras_shiftmlp.kernels.initializers import zero_start

to_numpy = keras.ops.convert_to_numpy
SHIFTS = np.load(HERE / "golden_data" / "shiftvit_shift_cases.npz")
CASE = MODEL_CASES["shiftvit"]


# The `n_div` of each case, in order.
N_DIV = [12, 5, 12, 16, 12, 4, 4, 6, 2, 3, 3]


@pytest.mark.parametrize("case", range(len(N_DIV)))
def test_partial_shift_is_that_of_the_code(case):
    y = as_one_program(layers.PartialShift(N_DIV[case]))(SHIFTS[f"shift_{case:02}/input"])
    np.testing.assert_array_equal(to_numpy(y), SHIFTS[f"shift_{case:02}/output"])


@once
@pytest.mark.parametrize(
    "name, parameters, macs",
    [
        ("ShiftViTTinyLight", 19_608_328, 2.963e9),
        ("ShiftViTTinyR2", 28_566_664, 4.582e9),
        ("ShiftViTSmallLight", 33_796_360, 5.738e9),
        ("ShiftViTSmallR2", 50_304_136, 8.743e9),
    ],
)
def test_published_sizes(name, parameters, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
    assert model.count_params() == parameters
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)
    sides = {level: x.shape[1] for level, x in model.pyramid_outputs.items()}
    assert sides == {"P2": 56, "P3": 28, "P4": 14, "P5": 7}


@pytest.mark.parametrize("height, width", [(37, 70), (8, 15)])
def test_maps_are_cropped(height, width):
    x = np.random.default_rng(1).uniform(0, 255, (2, height, width, 3)).astype("float32")
    model = CASE.build(input_shape=(None, None, 3))
    fixed = CASE.build(input_shape=(height, width, 3))
    fixed.set_weights(model.get_weights())
    np.testing.assert_allclose(run(model, x), run(fixed, x), atol=1e-5)
    assert fixed.pyramid_outputs["P3"].shape[1:3] == (height // 8, width // 8)
    # Pixels beyond the last whole patch have no influence.
    cropped = x[:, : height // 4 * 4, : width // 4 * 4]
    np.testing.assert_allclose(run(model, cropped), run(model, x), atol=1e-5)


def test_smallest_size():
    with pytest.raises(ValueError, match=r"at least 8.*`input_shape=\(7, 32, 3\)`"):
        CASE.build(input_shape=(7, 32, 3))
    with pytest.raises(ValueError, match=r"at least 32.*`input_shape=\(31, None, 3\)`"):
        keras_shiftmlp.get_model("ShiftViT", input_shape=(31, None, 3))


def state_dict(dims, depths, mlp_ratio):
    """Random arrays with the keys and shapes of the authors' files."""
    shapes = {"patch_embed.proj": (dims[0], 3, 4, 4), "patch_embed.norm": (dims[0],)}
    for s, (dim, depth) in enumerate(zip(dims, depths)):
        for b in range(depth):
            block = f"layers.{s}.blocks.{b}"
            shapes[f"{block}.norm2"] = (dim,)
            shapes[f"{block}.mlp.fc1"] = (mlp_ratio * dim, dim, 1, 1)
            shapes[f"{block}.mlp.fc2"] = (dim, mlp_ratio * dim, 1, 1)
        if s < len(dims) - 1:
            shapes[f"layers.{s}.downsample.norm"] = (dim,)
            shapes[f"layers.{s}.downsample.reduction"] = (2 * dim, dim, 2, 2)
    shapes |= {"norm": (dims[-1],), "head": (1000, dims[-1])}
    rng = np.random.default_rng(0)
    arrays = {}
    for key, shape in shapes.items():
        arrays[f"{key}.weight"] = rng.standard_normal(shape, "float32")
        if not key.endswith("reduction"):
            arrays[f"{key}.bias"] = rng.standard_normal(shape[0], "float32")
    return arrays


@once
def test_full_size_file_of_the_authors(tmp_path):
    torch = pytest.importorskip("torch")
    arrays = state_dict((96, 192, 384, 768), (6, 8, 18, 6), mlp_ratio=2)
    assert len(arrays) == 245
    checkpoint = {
        "model": {key: torch.from_numpy(array) for key, array in arrays.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]},
        "lr_scheduler": {"epoch": 299},
        "epoch": 299,
        "scaler": {"scale": 65536.0},
        "args": argparse.Namespace(model="shiftvit_r2_tiny", drop_path=0.1),
    }
    torch.save(checkpoint, tmp_path / "shiftvit_tiny_r2.pth")
    model = keras_shiftmlp.get_model("ShiftViTTinyR2", weights=tmp_path / "shiftvit_tiny_r2.pth")
    assert model.output_shape == (None, 1000)
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    for path, key in {
        "stage_0_stem/kernel": "patch_embed.proj.weight",
        "stage_3_stem_norm/gamma": "layers.2.downsample.norm.weight",
        "stage_1_stem/kernel": "layers.0.downsample.reduction.weight",
        "stage_2_block_17_norm/beta": "layers.2.blocks.17.norm2.bias",
        "stage_3_block_5_channel_fc1/kernel": "layers.3.blocks.5.mlp.fc1.weight",
        "stage_3_block_5_channel_fc2/kernel": "layers.3.blocks.5.mlp.fc2.weight",
    }.items():
        expected = arrays[key]
        if path.endswith("kernel"):
            expected = expected.transpose(2, 3, 1, 0).reshape(weights[path].shape)
        np.testing.assert_array_equal(weights[path], expected)


def test_files_are_told_from_those_of_as_mlp():
    own = state_dict((1,), (1,), mlp_ratio=2)
    assert sources.recognise(own, "a file").family == "ShiftViT"
    both = {**own, "layers.0.blocks.0.axial_shift.conv1.weight": np.zeros((1, 1, 1, 1))}
    assert sources.recognise(both, "a file").family == "ASMLP"


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layers.PartialShift(0), "`n_div=0`"),
        (lambda: layers.PartialShift()(np.zeros((2, 3, 4))), r"`input_shape=\(2, 3, 4\)`"),
        (lambda: keras_shiftmlp.get_model("ShiftViT", n_div=0), "`n_div=0`"),
        (lambda: keras_shiftmlp.get_model("ShiftViT", mlp_ratio=0), "`mlp_ratio=0`"),
        (lambda: keras_shiftmlp.get_model("ShiftViT", dims=(8,)), "One entry per stage"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
