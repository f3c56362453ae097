"""gMixer in timm's containers, its gate and its initial weights."""

import keras
import numpy as np
import pytest
from cases import once, run
from families import GOLDEN
from test_golden import load, weights_of

import keras_shiftmlp
from keras_shiftmlp.checkpoints import sources
from keras_shiftmlp.layers import SiLUGate
from keras_shiftmlp.layers.resample import resample_tokens
from keras_shiftmlp.publishing.checkpoints import save_safetensors

to_numpy = keras.ops.convert_to_numpy


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@once
def test_safetensors_of_timm(tmp_path):
    from safetensors.numpy import save_file

    arrays = load("gmixer_timm")
    save_file(weights_of(arrays), tmp_path / "gmixer.safetensors", {"format": "pt"})
    settings = dict(weights=tmp_path / "gmixer.safetensors", input_shape=arrays["input"].shape[1:])
    model = keras_shiftmlp.get_model(
        "GMixer",
        **GOLDEN["gmixer_timm"].hyperparameters,
        **settings,
        include_preprocessing=False,
        classifier_activation=None,
    )
    expected = arrays["logits_f64"]
    np.testing.assert_allclose(run(model, arrays["input"]), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"holds a GMixer \(timm_gmixer\), not a Mixer"):
        keras_shiftmlp.get_model("Mixer", **settings)


@once
def test_shapes_tell_timm_mixers_and_gmixers_apart():
    for case, name in (("mixer_timm_erf", "timm_mixer"), ("gmixer_timm", "timm_gmixer")):
        assert sources.recognise(weights_of(load(case)), case).name == name
    arrays = {"blocks.0.mlp_tokens.fc1.weight": np.zeros((8, 4))}
    assert sources.recognise(arrays, "damaged").name == "timm_mixer"


@once
def test_another_image_size(tmp_path):
    build = dict(patch_size=8, dim=6, depth=2, tokens_mlp_dim=8, channels_mlp_dim=4, classes=3)
    small = keras_shiftmlp.get_model("GMixer", **build, input_shape=(32, 32, 3))
    rng = np.random.default_rng(0)
    for weight in small.weights:
        weight.assign(rng.normal(size=weight.shape))
    save_safetensors(small, tmp_path / "small.safetensors")
    large = keras_shiftmlp.get_model(
        "GMixer", **build, input_shape=(48, 40, 3), weights=tmp_path / "small.safetensors"
    )
    old, new = ({w.path: np.asarray(w) for w in model.weights} for model in (small, large))
    for path, expected in old.items():
        if path.endswith("_token_fc1/kernel"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=True)
        if path.endswith("_token_fc2/kernel"):
            expected = resample_tokens(expected, 1, (6, 5), inputs=False)
        if path.endswith("_token_fc2/bias"):
            expected = resample_tokens(expected, 0, (6, 5), inputs=False)
        np.testing.assert_allclose(new[path], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", [1, -1])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_silu_gate_is_its_formula(axis, policy):
    x, gate = normal(2, 6, 4), SiLUGate(axis, dtype=policy)
    value, z = np.split(x, 2, axis=axis)
    y = gate(x)
    assert keras.backend.standardize_dtype(y.dtype) == gate.compute_dtype
    assert gate.compute_output_shape(x.shape) == tuple(y.shape)
    tolerance = 1e-6 if policy == "float32" else 0.02
    y = to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, value * z / (1 + np.exp(-z)), rtol=tolerance, atol=tolerance)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(gate))
    assert again.get_config() == gate.get_config()


@pytest.mark.parametrize(("axis", "shape"), [(-1, (2, 4, 5)), (1, (2, None, 4)), (1, (2, 3, 4))])
def test_what_a_silu_gate_refuses(axis, shape):
    with pytest.raises(ValueError, match=rf"known, even size.*`axis={axis}`"):
        SiLUGate(axis).build(shape)


@pytest.mark.parametrize("prefix", ["token", "channel"])
def test_initial_weights_in_front_of_a_gate(prefix):
    model = keras_shiftmlp.get_model(
        "GMixer",
        patch_size=8,
        dim=30,
        depth=1,
        tokens_mlp_dim=40,
        channels_mlp_dim=60,
        input_shape=(32, 32, 3),
    )
    kernel, bias = map(to_numpy, model.get_layer(f"block_0_{prefix}_fc1").weights)
    value, gate = np.split(kernel, 2, axis=1)
    limit = (6 / sum(kernel.shape)) ** 0.5  # Glorot's, of the whole kernel
    assert 0.9 * limit < np.abs(value).max() <= limit
    assert 0 < np.abs(gate).max() < 1e-5
    np.testing.assert_array_equal(bias.ravel(), np.repeat([0, 1], bias.size // 2))


def test_odd_widths_are_refused():
    for argument in ("tokens_mlp_dim", "channels_mlp_dim"):
        with pytest.raises(ValueError, match=rf"must be even.*`{argument}=7`"):
            keras_shiftmlp.get_model("GMixer", **{argument: 7})
