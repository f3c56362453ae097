"""gMLP in timm's containers, and the spatial gating unit."""

import json

import keras
import numpy as np
import pytest
from cases import HERE, once, run, trains
from test_golden import load, weights_of

import keras_shiftmlp
from keras_shiftmlp.layers import SpatialGatingUnit
from keras_shiftmlp.layers.resample import resample_tokens
from keras_shiftmlp.publishing.checkpoints import save_safetensors

to_numpy = keras.ops.convert_to_numpy


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def random_unit(shape, **kwargs):
    unit = SpatialGatingUnit(**kwargs)
    unit.build(shape)
    unit.set_weights([0.5 + normal(*weight.shape) for weight in unit.weights])
    return unit


@once
def test_safetensors_of_timm(tmp_path):
    from safetensors.numpy import save_file

    arrays = load("gmlp_timm")
    save_file(weights_of(arrays), tmp_path / "gmlp.safetensors", {"format": "pt"})
    model = keras_shiftmlp.get_model(
        "GMLP",
        patch_size=8,
        dim=16,
        depth=3,
        weights=tmp_path / "gmlp.safetensors",
        input_shape=arrays["input"].shape[1:],
        include_preprocessing=False,
        classifier_activation=None,
    )
    expected = arrays["logits_f64"]
    np.testing.assert_allclose(run(model, arrays["input"]), expected, rtol=1e-5, atol=1e-5)


@once
def test_another_image_size(tmp_path):
    build = dict(patch_size=8, dim=6, depth=2, classes=3)
    small = keras_shiftmlp.get_model("GMLP", **build, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for weight in small.weights:
        weight.assign(rng.normal(size=weight.shape))
    save_safetensors(small, tmp_path / "small.safetensors")
    large = keras_shiftmlp.get_model(
        "GMLP", **build, input_shape=(48, 40, 3), weights=tmp_path / "small.safetensors"
    )
    old, new = ({w.path: np.asarray(w) for w in model.weights} for model in (small, large))
    for path, expected in old.items():
        if path.endswith("_spatial/project/kernel"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=True)
            expected = resample_tokens(expected, 1, (6, 5), inputs=False)
        if path.endswith("_spatial/project/bias"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=False)
        np.testing.assert_allclose(new[path], expected, rtol=1e-5, atol=1e-6)


def test_spatial_gating_unit_is_that_of_the_reference():
    path = HERE / "golden_data" / "spatial_gating_unit.npz"
    with np.load(path) as file:
        arrays = dict(file)
    weights = [arrays["norm.weight"], arrays["norm.bias"]]
    weights += [arrays["proj.weight"].T, arrays["proj.bias"][:, None]]
    unit = SpatialGatingUnit(norm_epsilon=1e-5)
    unit.build(arrays["input"].shape)
    unit.set_weights(weights)
    np.testing.assert_allclose(to_numpy(unit(arrays["input"])), arrays["output_f64"], atol=2e-6)


@pytest.mark.parametrize("shape", [(2, 5, 6), (1, 1, 2), (3, 7, 14)])
def test_spatial_gating_unit_is_its_formula(shape):
    unit, x = random_unit(shape, norm_epsilon=0.1), normal(*shape)
    gamma, beta, kernel, bias = map(to_numpy, unit.weights)
    u, v = np.split(x.astype("float64"), 2, axis=-1)
    v = (v - v.mean(-1, keepdims=True)) / np.sqrt(v.var(-1, keepdims=True) + 0.1) * gamma + beta
    expected = u * (np.einsum("bsc,st->btc", v, kernel) + bias)
    assert unit.compute_output_shape(shape) == expected.shape
    np.testing.assert_allclose(to_numpy(unit(x)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_spatial_gating_unit_in_every_precision(policy):
    x = normal(2, 5, 6)
    full, unit = random_unit(x.shape), random_unit(x.shape, dtype=policy)
    y = unit(x)
    assert keras.backend.standardize_dtype(y.dtype) == unit.compute_dtype
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(unit))
    assert json.dumps(again.get_config()) == json.dumps(unit.get_config())
    if not again.built:
        again.build(x.shape)
    again.set_weights(unit.get_weights())
    y, same = (to_numpy(keras.ops.cast(one, "float32")) for one in (y, again(x)))
    np.testing.assert_array_equal(same, y)
    tolerance = 1e-6 if policy == "float32" else 0.05
    np.testing.assert_allclose(y, to_numpy(full(x)), rtol=tolerance, atol=tolerance)


@trains
def test_low_rank_updates_freeze_the_norm_and_the_kernel():
    unit = random_unit((2, 5, 6))
    unit.enable_lora(2)
    names = {weight.path.split("/")[-1] for weight in unit.trainable_weights}
    assert names == {"bias", "lora_kernel_a", "lora_kernel_b"}


@pytest.mark.parametrize("shape", [(2, 5, 7), (2, None, 6), (2, 5, 5, 6)])
def test_what_a_spatial_gating_unit_refuses(shape):
    with pytest.raises(ValueError, match=r"`SpatialGatingUnit` needs.*Received: `input_shape="):
        SpatialGatingUnit().build(shape)


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match=r"must be even.*`mlp_ratio=3`, `dim=5`"):
        keras_shiftmlp.get_model("GMLP", dim=5, mlp_ratio=3)
