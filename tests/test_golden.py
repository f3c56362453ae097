"""The networks against reference vectors: the authors' code, run in float64."""

import re
import runpy
from pathlib import Path

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, once, run
from families import GOLDEN

import keras_shiftmlp
from keras_shiftmlp.checkpoints.port import port

# The larger files are not in the repository.
FOLDERS = [HERE / "golden_data", Path(HERE, "..", "..", "shared", "golden")]


# Reference maps within a layer: that layer's output is compared instead.
WITHIN_A_LAYER = {"block0_theta_h", "block0_h", "block0_w"}


def load(case):
    for folder in FOLDERS:
        if (folder / f"{case}.npz").exists():
            with np.load(folder / f"{case}.npz") as file:
                return dict(file)
    pytest.skip(f"{case}.npz is not here")


def weights_of(arrays):
    return {
        key.removeprefix("weights/"): value
        for key, value in arrays.items()
        if key.startswith("weights/")
    }


def build(case, arrays, **kwargs):
    case = GOLDEN[case]
    model = keras_shiftmlp.get_model(
        case.constructor,
        **case.hyperparameters,
        input_shape=arrays["input"].shape[1:],
        include_preprocessing=False,
        **kwargs,
    )
    # Without the top, the file still holds the head.
    port(weights_of(arrays), case.table, model.layers)
    return model


def check(actual, expected, tolerance):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= tolerance * max(1, np.abs(expected).max())


def layer_of(key, case, names):
    """The layer whose output is the reference's map `key`.

    Args:
        key: `stem`, `block0`, `stage0`, `downsample1` or `transition0` (both are the stem of
            stage 1), or one of the case's `maps`.
        case: The reference network.
        names: Our layers in the order of the computation.
    """
    if key in GOLDEN[case].maps:
        return GOLDEN[case].maps[key]
    what, number, after = re.fullmatch(r"([a-z]+)(\d*)(_after_.*)?", key).groups()
    if what == "transition" or after:
        what, number = "stem", int(number) + 1
    part = {"block": f"(stage_0_)?block_{number}_", "stage": f"stage_{number}_"}.get(
        what, f"(stage_{number or 0}_)?stem"
    )
    return [name for name in names if re.match(part, name)][-1]


@pytest.mark.parametrize("case", GOLDEN)
def test_maps_and_logits(case):
    """In the order of the computation, so that a wrong block is the first that differs."""
    arrays = load(case)
    classes = arrays["logits_f64"].shape[-1]
    model = build(case, arrays, classes=classes, classifier_activation=None)
    names = [layer.name for layer in model.layers]
    keys = {key.removeprefix("debug/") for key in arrays if key.startswith("debug/")}
    maps = {layer_of(key, case, names): f"debug/{key}" for key in keys - WITHIN_A_LAYER}
    assert len(maps) == len(keys - WITHIN_A_LAYER) >= 2
    outputs = {name: model.get_layer(name).output for name in names if name in maps}
    outputs |= {"features": model.get_layer("pool").input, "pooled": model.layers[-1].input}
    outputs["predictions"] = model.output
    maps |= {"features": "features", "pooled": "pooled", "predictions": "logits_f64"}
    actual = run(keras.Model(model.input, outputs), arrays["input"])
    for name in outputs:
        expected = arrays[maps[name]]
        difference = np.abs(actual[name].reshape(expected.shape) - expected).max()
        tolerance = GOLDEN[case].tolerance * max(1, np.abs(expected).max())
        assert difference <= tolerance, f"`{name}` is the first that differs from {maps[name]}"


@once
@pytest.mark.parametrize("case", GOLDEN)
def test_features_and_pooled(case):
    arrays = load(case)
    model = build(case, arrays, include_top=False, pooling="avg")
    features = model.get_layer("pool").input
    actual = run(keras.Model(model.input, [features, model.output]), arrays["input"])
    for y, name in zip(actual, ("features", "pooled"), strict=True):
        check(y, arrays[name], GOLDEN[case].tolerance)


def test_a_port_leaves_nothing_over():
    arrays = load("mixer_timm_erf")
    table = GOLDEN["mixer_timm_erf"].table
    model = keras_shiftmlp.Mixer(
        **GOLDEN["mixer_timm_erf"].hyperparameters, classes=11, input_shape=(32, 48, 3)
    )
    weights = weights_of(arrays)
    before = model.get_weights()
    missing = {key: value for key, value in weights.items() if key != "norm.bias"}
    swapped = weights | {"head.bias": weights["norm.bias"]}
    for broken, message in (
        (missing, "nothing for 'norm/beta'"),
        (weights | {"extra": np.zeros(1)}, "no use for 'extra'"),
        (swapped, r"'head.bias': its shape is \(24,\), that of 'predictions/bias' is \(11,\)"),
        (weights | {"blocks.7.norm1.weight": np.zeros(24)}, "the model lacks 'block_7"),
    ):
        with pytest.raises(ValueError, match=message):
            port(broken, table, model.layers)
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    port(weights, table, model.layers)
    assert not weights


@pytest.mark.skipif(BACKEND != "torch", reason="the reference is in PyTorch")
def test_reference_in_plain_torch():
    import torch

    sizes = dict(dims=(13, 26), depths=(1, 2), kernel_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7)))
    reference = runpy.run_path(str(HERE.parent / "benchmarks" / "torch_ms_mlp.py"))["MSMLP"]
    reference = reference(**sizes, classes=7).eval()
    pixels = torch.randn(2, 32, 48, 3)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.normal_(0.1, 0.3)
        expected = reference(pixels.permute(0, 3, 1, 2)).numpy()
    model = keras_shiftmlp.MSMLP(
        **sizes,
        classes=7,
        input_shape=(32, 48, 3),
        classifier_activation=None,
        include_preprocessing=False,
    )
    weights = {key: value.numpy() for key, value in reference.state_dict().items()}
    port(weights, GOLDEN["ms_mlp_official"].table, model.layers)
    check(run(model, pixels.numpy()), expected, tolerance=1e-5)
