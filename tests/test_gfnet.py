"""GFNet: the filter against its vectors, the published sizes, the released files, other sizes."""

import argparse

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, as_one_program

import keras_shiftmlp
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers import GlobalFilter, PositionEmbedding
from keras_shiftmlp.publishing.checkpoints import save_safetensors

to_numpy = keras.ops.convert_to_numpy
VECTORS = np.load(HERE / "golden_data" / "gfnet_layers.npz")
only_torch = pytest.mark.skipif(BACKEND != "torch", reason="the reference is in PyTorch")


@pytest.mark.parametrize("case", [f"global_filter_{i}" for i in range(5)])
def test_filter_is_that_of_the_released_code(case):
    x, expected = VECTORS[f"{case}/input"], VECTORS[f"{case}/output_f64"]
    for policy, tolerance in (("float32", 2e-6), ("mixed_bfloat16", 2e-2), ("mixed_float16", 2e-3)):
        layer = GlobalFilter(dtype=policy)
        layer.build(x.shape)
        layer.set_weights([VECTORS[f"{case}/weights/complex_weight"]])
        y = as_one_program(layer)(x)
        assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
        scale = np.abs(expected).max()
        y = to_numpy(keras.ops.cast(y, "float32"))
        np.testing.assert_allclose(y, expected, atol=tolerance * scale)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (5, 3), (1, 1), (1, 2)])
def test_filter_is_a_circular_convolution(height, width):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, height, width, 3)).astype("float32")
    kernel = rng.normal(size=(height, width, 3))
    layer = GlobalFilter()
    layer.build(x.shape)
    spectrum = np.fft.rfft2(kernel, axes=(0, 1))
    layer.set_weights([np.stack([spectrum.real, spectrum.imag], -1)])
    expected = sum(
        kernel[i, j] * np.roll(x, (i, j), (1, 2)) for i in range(height) for j in range(width)
    )
    np.testing.assert_allclose(to_numpy(as_one_program(layer)(x)), expected, atol=1e-5)


@pytest.mark.parametrize("layer", [GlobalFilter, PositionEmbedding])
def test_maps_of_unknown_size_are_refused(layer):
    with pytest.raises(ValueError, match=r"of known size.*\(None, None, 4, 8\)"):
        layer()(keras.Input((None, 4, 8)))


@pytest.mark.skipif(BACKEND != "numpy", reason="once is enough")
@pytest.mark.parametrize(
    ("size", "parameters", "macs"),
    [
        ("Tiny", 7_511_784, 1.271917e9),
        ("XS", 15_985_768, 2.832719e9),
        ("S", 24_869_608, 4.451196e9),
        ("B", 43_120_616, 7.887376e9),
        ("HTiny", 15_085_096, 2.039665e9),
        ("HS", 32_162_632, 4.581636e9),
        ("HB", 53_744_200, 8.512223e9),
    ],
)
def test_published_sizes(size, parameters, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(f"GFNet{size}", weights=None)
    assert model.count_params() == parameters
    # Without the Fourier transforms.
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)


def block(name, dim, side):
    """The tensors of a block of the released code and their shapes."""
    return {
        f"{name}.norm1.weight": (dim,),
        f"{name}.norm1.bias": (dim,),
        f"{name}.filter.complex_weight": (side, side // 2 + 1, dim, 2),
        f"{name}.norm2.weight": (dim,),
        f"{name}.norm2.bias": (dim,),
        f"{name}.mlp.fc1.weight": (4 * dim, dim),
        f"{name}.mlp.fc1.bias": (4 * dim,),
        f"{name}.mlp.fc2.weight": (dim, 4 * dim),
        f"{name}.mlp.fc2.bias": (dim,),
    }


def released(name):
    """All tensors of a release and their shapes."""
    if name == "GFNetTiny":
        dim, shapes = 256, {"pos_embed": (1, 196, 256), "patch_embed.proj.bias": (256,)}
        shapes["patch_embed.proj.weight"] = (256, 3, 16, 16)
        for i in range(12):
            shapes |= block(f"blocks.{i}", dim, 14)
    else:
        dim, shapes = 3, {"pos_embed": (1, 56 * 56, 64)}
        for s, (own, depth) in enumerate(zip((64, 128, 256, 512), (3, 3, 10, 3))):
            patch = 2 if s else 4
            shapes[f"patch_embed.{s}.proj.weight"] = (own, dim, patch, patch)
            shapes[f"patch_embed.{s}.proj.bias"] = (own,)
            dim = own
            for i in range(depth):
                shapes |= block(f"blocks.{s}.{i}", dim, 56 // 2**s)
                shapes[f"blocks.{s}.{i}.gamma"] = (dim,)
    shapes |= {"norm.weight": (dim,), "norm.bias": (dim,)}
    return shapes | {"head.weight": (1000, dim), "head.bias": (1000,)}


@only_torch
@pytest.mark.parametrize(
    ("name", "tensors", "last_filter", "theirs"),
    [
        ("GFNetTiny", 115, "block_11_spatial", "blocks.11"),
        ("GFNetHTiny", 203, "stage_2_block_9_spatial", "blocks.2.9"),
    ],
)
def test_a_released_file_of_full_size_loads(name, tensors, last_filter, theirs, tmp_path):
    import torch

    rng = np.random.default_rng(0)
    state = {key: rng.random(shape, dtype="float32") for key, shape in released(name).items()}
    assert len(state) == tensors
    content = {
        "model": {key: torch.from_numpy(array) for key, array in state.items()},
        "epoch": 299,
        "args": argparse.Namespace(arch=name),
    }
    torch.save(content, tmp_path / "gfnet.pth")
    model = keras_shiftmlp.get_model(name, weights=tmp_path / "gfnet.pth")
    weights = model.get_layer(last_filter).complex_weight
    np.testing.assert_array_equal(to_numpy(weights), state[f"{theirs}.filter.complex_weight"])


@only_torch
def test_weights_of_another_size_are_those_of_the_released_code(tmp_path):
    """Bicubic; the corners coincide for the frequencies only."""
    import torch

    def interpolated(array, grid, align_corners):
        maps = torch.from_numpy(array.reshape(*array.shape[:2], -1)).permute(2, 0, 1)[None]
        maps = torch.nn.functional.interpolate(
            maps, grid, mode="bicubic", align_corners=align_corners
        )
        return maps[0].permute(1, 2, 0).numpy().reshape(*grid, *array.shape[2:])

    config = dict(patch_size=4, dim=6, depth=1, classes=3)
    old = keras_shiftmlp.get_model("GFNet", **config, input_shape=(24, 24, 3))
    save_safetensors(old, tmp_path / "old.safetensors")
    for grid in ((9, 9), (8, 11), (4, 5), (6, 6), (1, 1)):
        shape = (4 * grid[0], 4 * grid[1], 3)
        new = keras_shiftmlp.get_model(
            "GFNet", **config, input_shape=shape, weights=tmp_path / "old.safetensors"
        )
        frequencies = (grid[0], grid[1] // 2 + 1)
        theirs = to_numpy(old.get_layer("block_0_spatial").complex_weight)
        np.testing.assert_allclose(
            to_numpy(new.get_layer("block_0_spatial").complex_weight),
            interpolated(theirs, frequencies, align_corners=True),
            atol=1e-6,
        )
        theirs = to_numpy(old.get_layer("stem_position").embedding).reshape(6, 6, 6)
        np.testing.assert_allclose(
            to_numpy(new.get_layer("stem_position").embedding).reshape(*grid, 6),
            interpolated(theirs, grid, align_corners=False),
            atol=1e-6,
        )
        assert np.isfinite(to_numpy(new(np.zeros((1, *shape), "float32")))).all()


@only_torch
def test_other_shapes_are_reported(tmp_path):
    config = dict(patch_size=4, depth=1, classes=3)
    old = keras_shiftmlp.get_model("GFNet", **config, dim=6, input_shape=(24, 16, 3))
    save_safetensors(old, tmp_path / "old.safetensors")
    for dim, side, message in ((8, 24, "'block_0_spatial/complex_weight' is"), (6, 32, "a square")):
        with pytest.raises(ValueError, match=message):
            keras_shiftmlp.get_model(
                "GFNet",
                **config,
                dim=dim,
                input_shape=(side, side, 3),
                weights=tmp_path / "old.safetensors",
            )
