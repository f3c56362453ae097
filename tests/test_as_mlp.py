"""AS-MLP: its layers against the released code, its published sizes and the authors' files."""

import keras
import numpy as np
import pytest
import test_readers
from cases import HERE, once

import keras_shiftmlp
from keras_shiftmlp import layers
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.models.as_mlp import as_mlp_block

to_numpy = keras.ops.convert_to_numpy
GOLDEN = np.load(HERE / "golden_data" / "as_mlp_layers.npz")


@pytest.mark.parametrize("axis, name", [("horizontal", "lr"), ("vertical", "td")])
@pytest.mark.parametrize("case, shift_size", [(0, 5), (1, 5), (2, 5), (3, 3), (4, 7)])
def test_axial_shift_is_that_of_the_code(case, shift_size, axis, name):
    case = f"axial_shift_{case}_{name}"
    y = layers.AxialShift(shift_size, axis)(GOLDEN[f"{case}/input"])
    np.testing.assert_array_equal(to_numpy(y), GOLDEN[f"{case}/output"])


def test_shift_size_1_moves_nothing():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype("float32")
    np.testing.assert_array_equal(to_numpy(layers.AxialShift(1)(x)), x)


def test_token_mixing_is_that_of_the_code():
    """From the first dense layer to the last one, without norm and shortcut around them."""
    x = GOLDEN["axial_shift_layer/input"]
    inputs = keras.Input(x.shape[1:])
    block = keras.Model(
        inputs, as_mlp_block(inputs, shift_size=5, mlp_ratio=4, drop_path_rate=0, name="block")
    )
    for theirs, ours in {
        "conv1": "fc1",
        "norm1": "fc1_norm",
        "conv2_1": "horizontal_fc",
        "conv2_2": "vertical_fc",
        "norm2": "sum_norm",
        "conv3": "fc2",
    }.items():
        weight = GOLDEN[f"axial_shift_layer/weights/{theirs}.weight"]
        bias = GOLDEN[f"axial_shift_layer/weights/{theirs}.bias"]
        weight = weight.reshape(weight.shape[:2]).T if weight.ndim == 4 else weight
        block.get_layer(f"block_spatial_{ours}").set_weights([weight, bias])
    before = block.get_layer("block_spatial_norm").output
    mixing = keras.Model(before, block.get_layer("block_spatial_fc2").output)
    y = to_numpy(mixing(x))
    np.testing.assert_allclose(y, GOLDEN["axial_shift_layer/output"], rtol=1e-5, atol=1e-5)


def test_patch_merging_is_that_of_the_code():
    merging = keras.Sequential(
        [
            layers.PatchMerging(),
            keras.layers.GroupNormalization(groups=1, epsilon=1e-5),
            keras.layers.Dense(12, use_bias=False),
        ]
    )
    x = GOLDEN["as_patch_merging/input"]
    merging.build(x.shape)
    weights = (GOLDEN[f"as_patch_merging/weights/{name}"] for name in ("norm.weight", "norm.bias"))
    kernel = GOLDEN["as_patch_merging/weights/reduction.weight"][:, :, 0, 0].T
    merging.set_weights([*weights, kernel])
    expected = GOLDEN["as_patch_merging/output"]
    np.testing.assert_allclose(to_numpy(merging(x)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("height, width", [(4, 6), (5, 6), (4, 3), (5, 3), (1, 1)])
def test_patch_merging_pads_odd_sides(height, width):
    x = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")
    padded = np.pad(x, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    members = [padded[:, r::2, c::2] for r, c in ((0, 0), (1, 0), (0, 1), (1, 1))]
    expected = np.concatenate(members, axis=-1)
    for shape in ((height, width, 3), (None, None, 3)):
        inputs = keras.Input(shape)
        layer = layers.PatchMerging()
        model = keras.Model(inputs, layer(inputs))
        np.testing.assert_array_equal(to_numpy(model(x)), expected)
        assert layer.compute_output_shape(x.shape) == expected.shape


@once
@pytest.mark.parametrize(
    "name, parameters, macs",
    [
        ("ASMLPTiny", 28_282_696, 4.350e9),
        ("ASMLPSmall", 49_594_696, 8.512e9),
        ("ASMLPBase", 87_752_808, 15.126e9),
    ],
)
def test_published_sizes(name, parameters, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(name, weights=None)
    assert model.count_params() == parameters
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)
    sides = {level: x.shape[1] for level, x in model.pyramid_outputs.items()}
    assert sides == {"P2": 56, "P3": 28, "P4": 14, "P5": 7}


def state_dict(dims, depths):
    """Random arrays with the keys and shapes of the authors' files."""
    shapes = {"patch_embed.proj": (dims[0], 3, 4, 4), "patch_embed.norm": (dims[0],)}
    for s, (dim, depth) in enumerate(zip(dims, depths)):
        for b in range(depth):
            block = f"layers.{s}.blocks.{b}"
            for norm in ("norm1", "norm2", "axial_shift.norm1", "axial_shift.norm2"):
                shapes[f"{block}.{norm}"] = (dim,)
            for convolution in ("conv1", "conv2_1", "conv2_2", "conv3"):
                shapes[f"{block}.axial_shift.{convolution}"] = (dim, dim, 1, 1)
            shapes[f"{block}.mlp.fc1"] = (4 * dim, dim, 1, 1)
            shapes[f"{block}.mlp.fc2"] = (dim, 4 * dim, 1, 1)
        if s < len(dims) - 1:
            shapes[f"layers.{s}.downsample.norm"] = (4 * dim,)
            shapes[f"layers.{s}.downsample.reduction"] = (2 * dim, 4 * dim, 1, 1)
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
    arrays = state_dict((96, 192, 384, 768), (2, 2, 6, 2))
    assert len(arrays) == 257
    path = tmp_path / "asmlp_tiny_patch4_shift5_224.pth"
    checkpoint = {
        "model": {key: torch.from_numpy(array) for key, array in arrays.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]},
        "lr_scheduler": {"epoch": 299},
        "max_accuracy": 81.3,
        "epoch": 299,
        "config": test_readers.CfgNode(),
    }
    torch.save(checkpoint, path)
    model = keras_shiftmlp.get_model("ASMLPTiny", weights=path)
    assert model.output_shape == (None, 1000)
    for path, key in {
        "stage_0_stem/kernel": "patch_embed.proj.weight",
        "stage_3_stem_norm/gamma": "layers.2.downsample.norm.weight",
        "stage_1_stem_reduction/kernel": "layers.0.downsample.reduction.weight",
        "stage_2_block_5_spatial_horizontal_fc/kernel": (
            "layers.2.blocks.5.axial_shift.conv2_1.weight"
        ),
        "stage_2_block_5_spatial_vertical_fc/bias": "layers.2.blocks.5.axial_shift.conv2_2.bias",
        "stage_3_block_1_spatial_sum_norm/beta": "layers.3.blocks.1.axial_shift.norm2.bias",
        "stage_3_block_1_channel_fc1/kernel": "layers.3.blocks.1.mlp.fc1.weight",
    }.items():
        variable = next(weight for weight in model.weights if weight.path == path)
        expected = arrays[key]
        if path.endswith("kernel"):
            expected = expected.transpose(2, 3, 1, 0).reshape(variable.shape)
        np.testing.assert_array_equal(to_numpy(variable), expected)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layers.AxialShift(4), "`shift_size=4`"),
        (lambda: layers.AxialShift(5, "width"), "`axis='width'`"),
        (lambda: layers.AxialShift()(np.zeros((2, 3, 4))), r"`input_shape=\(2, 3, 4\)`"),
        (lambda: layers.PatchMerging()(np.zeros((2, 3, 4))), r"`input_shape=\(2, 3, 4\)`"),
        (lambda: keras_shiftmlp.get_model("ASMLP", shift_size=2), "`shift_size=2`"),
        (lambda: keras_shiftmlp.get_model("ASMLP", mlp_ratio=0), "`mlp_ratio=0`"),
        (lambda: keras_shiftmlp.get_model("ASMLP", dims=(8,)), "One entry per stage"),
    ],
)
def test_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
