"""Vision Permutator: the layer against its vectors, the published sizes and the released files."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, as_one_program

import keras_shiftmlp
from keras_shiftmlp.checkpoints.sources import group_major
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers import WeightedPermuteMLP

to_numpy = keras.ops.convert_to_numpy
VECTORS = np.load(HERE / "golden_data" / "vip_layers.npz")
LAYOUTS = Path(HERE, "..", "..", "shared", "spec", "state_dict_layouts.json")


def layer_of(case, **kwargs):
    x = VECTORS[f"{case}/input"]
    layer = WeightedPermuteMLP(**kwargs)
    layer.build(x.shape)
    weights = {key: VECTORS[f"{case}/weights/{key}"] for key in (
        "mlp_h.weight", "mlp_w.weight", "mlp_c.weight", "reweight.fc1.weight", "reweight.fc1.bias",
        "reweight.fc2.weight", "reweight.fc2.bias", "proj.weight", "proj.bias",
    )}  # fmt: skip
    for sublayer, key in (
        (layer.height, "mlp_h"),
        (layer.width, "mlp_w"),
        (layer.channel, "mlp_c"),
    ):
        sublayer.set_weights([weights[f"{key}.weight"].T])
    fc1 = [weights["reweight.fc1.weight"].T, weights["reweight.fc1.bias"]]
    fc2 = [group_major(weights[f"reweight.fc2.{name}"], 3).T for name in ("weight", "bias")]
    layer.attention.set_weights([*fc1, *fc2])
    layer.project.set_weights([weights["proj.weight"].T, weights["proj.bias"]])
    return layer, x


@pytest.mark.parametrize("case", [f"weighted_permute_{i}" for i in range(3)])
def test_layer_is_that_of_the_released_code(case):
    layer, x = layer_of(case)
    y = to_numpy(as_one_program(layer)(x))
    np.testing.assert_allclose(y, VECTORS[f"{case}/output_f64"], atol=5e-6)


def test_layer_in_half_precision():
    layer, x = layer_of("weighted_permute_0")
    half, _ = layer_of("weighted_permute_0", dtype="mixed_bfloat16")
    expected, y = (as_one_program(kind)(x) for kind in (layer, half))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    expected, y = to_numpy(expected), to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, expected, atol=0.03 * np.abs(expected).max())


def test_a_map_that_is_not_square():
    """The formula, with a fusion that weighs the three branches equally."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 6, 24)).astype("float32")
    layer = WeightedPermuteMLP()
    layer.build(x.shape)
    height, width, channel = (rng.normal(size=(24, 24)).astype("float32") for _ in range(3))
    attention = [np.zeros_like(weight) for weight in layer.attention.get_weights()]
    layer.attention.set_weights(attention)
    for sublayer, kernel in (
        (layer.height, height), (layer.width, width), (layer.channel, channel),
    ):  # fmt: skip
        sublayer.set_weights([kernel])
    layer.project.set_weights([np.eye(24), np.zeros(24)])
    rows = np.einsum("bijgs,isIS->bIjgS", x.reshape(2, 4, 6, 4, 6), height.reshape(4, 6, 4, 6))
    columns = np.einsum("bijgs,jsJS->biJgS", x.reshape(2, 4, 6, 6, 4), width.reshape(6, 4, 6, 4))
    expected = (rows.reshape(x.shape) + columns.reshape(x.shape) + x @ channel) / 3
    np.testing.assert_allclose(to_numpy(as_one_program(layer)(x)), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: WeightedPermuteMLP().build((None, 4, 5, 12)),
            r"both must divide the channels.*\(None, 4, 5, 12\)",
        ),
        (lambda: WeightedPermuteMLP().build((None, None, 4, 12)), "of known size"),
        (
            lambda: keras_shiftmlp.get_model("ViPSmall7", weights=None, input_shape=(256, 256, 3)),
            r"a map is \(37, 37\).*\(256, 256, 3\).*segments=\(32, 16, 16, 16\)",
        ),
        (
            lambda: keras_shiftmlp.get_model("ViP", dims=(192, 300, 300, 300)),
            r"multiples of the stage's `segments`.*dims=\(192, 300",
        ),
        (
            lambda: keras_shiftmlp.get_model("ViP", dims=(192, 384, 768, 768)),
            "change only with patches",
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
        ("Small14", 29_892_904, 6.855613e9),
        ("Small7", 25_114_984, 6.901767e9),
        ("Medium7", 55_272_488, 16.284307e9),
        ("Large7", 87_784_936, 24.340320e9),
    ],
)
def test_published_sizes(size, parameters, macs):
    with zero_start():
        model = keras_shiftmlp.get_model(f"ViP{size}", weights=None)
    assert model.count_params() == parameters
    assert keras_shiftmlp.count_macs(model) == pytest.approx(macs, rel=5e-3)


@pytest.mark.skipif(BACKEND != "torch", reason="the released files are PyTorch's")
@pytest.mark.skipif(not LAYOUTS.exists(), reason="the list of the released keys is not here")
@pytest.mark.parametrize(
    ("size", "layout", "container", "last_block", "stem"),
    [
        ("Small14", "vip_s14", None, "network.3.2", None),
        ("Small7", "vip_s7", "state_dict", "network.4.2", "network.1"),
        ("Medium7", "vip_m7", None, "network.4.2", "network.2"),
    ],
)
def test_a_released_file_of_full_size_loads(size, layout, container, last_block, stem, tmp_path):
    import torch

    rng = np.random.default_rng(0)
    layout = json.loads(LAYOUTS.read_text())[layout]
    state = {key: rng.random(shape, dtype="float32") for key, shape in layout.items()}
    tensors = {key: torch.from_numpy(array) for key, array in state.items()}
    torch.save({container: tensors} if container else tensors, tmp_path / "vip.pth")
    model = keras_shiftmlp.get_model(f"ViP{size}", weights=tmp_path / "vip.pth")
    weights = {weight.path: to_numpy(weight) for weight in model.weights}
    np.testing.assert_array_equal(
        weights["stage_3_block_2_spatial/width/kernel"], state[f"{last_block}.attn.mlp_w.weight"].T
    )
    if stem:
        path = f"stage_{stem[-1]}_stem/bias"
        np.testing.assert_array_equal(weights[path], state[f"{stem}.proj.bias"])
    with pytest.raises(
        ValueError, match=r"These weights belong to `segments=.*Received: `segments"
    ):
        keras_shiftmlp.get_model(
            "ViP",
            dims=(192,) * 4,
            segments=(8, 4, 4, 4),
            input_shape=(56, 56, 3),
            weights=tmp_path / "vip.pth",
        )
