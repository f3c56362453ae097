"""The layers against plain numpy and against reference vectors."""

import json

import families
import keras
import numpy as np
import pytest
import references
from cases import BACKEND, HERE, as_one_program, once, run_jitted
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_shiftmlp import layers
from keras_shiftmlp.kernels import device
from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.initializers import initial
from keras_shiftmlp.layers.mix_shift import chunk_sizes
from keras_shiftmlp.layers.spatial_shift import SETTINGS

to_numpy, conv = keras.ops.convert_to_numpy, keras.ops.conv
GOLDEN = np.load(HERE / "golden_data" / "layers.npz")
GOLDEN_CASES = json.loads((HERE / "golden_data" / "layers.json").read_text())
sides = st.integers(1, 6)


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("shape", [(300, 2000), (7, 7, 60, 200)])
@pytest.mark.parametrize(
    "name, config",
    [
        ("GlorotUniform", {}),
        ("LecunNormal", {}),
        ("RandomNormal", {"mean": 1.0, "stddev": 0.02}),
        ("RandomUniform", {"minval": -1.0, "maxval": 3.0}),
    ],
)
def test_weights_start_as_keras_draws_them(name, config, shape):
    """The quantiles of our initial values and of Keras's agree within sampling error."""
    initializer = getattr(keras.initializers, name)(**config, seed=1)
    ours, again = (to_numpy(initial(initializer)(shape, dtype="float32")) for _ in range(2))
    np.testing.assert_array_equal(ours, again)
    assert len(np.unique(ours)) > ours.size / 2  # no block repeats the seed of another
    expected = to_numpy(initializer(shape, dtype="float32"))
    at = np.linspace(0, 1, 101)[1:-1]
    a, b = np.quantile(ours, at), np.quantile(expected, at)
    np.testing.assert_allclose(a, b, atol=0.005 * np.ptp(expected))
    # Not Keras's limits: its truncated normal on PyTorch has outliers.
    if name != "RandomNormal":
        limits = {
            "GlorotUniform": (6 / (np.prod(shape[:-2]) * sum(shape[-2:]))) ** 0.5,
            "LecunNormal": 2 / (0.87962566 * np.prod(shape[:-1]) ** 0.5),
            "RandomUniform": 2,
        }
        middle = (b[0] + b[-1]) / 2
        np.testing.assert_allclose(np.abs(ours - middle).max(), limits[name], rtol=0.02)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(SETTINGS)),
    st.sampled_from(["hw", "wh"]),
    st.sampled_from(["clamp", "assign"]),
    sides,
    sides,
    st.integers(8, 19),
)
def test_spatial_shift_is_its_formula(setting, order, border, height, width, channels):
    x = normal(2, height, width, channels)
    y = to_numpy(as_one_program(layers.SpatialShift(setting, order, border))(x))
    expected = references.spatial_shift(x, SETTINGS[setting], order, border)
    np.testing.assert_array_equal(y, expected)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(2, 4), st.sampled_from(["sum", "mean"]), sides, sides, st.integers(1, 9))
def test_split_attention_is_its_formula(branches, pooling, height, width, channels):
    inputs = [normal(2, height, width, channels) + k for k in range(branches)]
    layer = layers.SplitAttention(hidden_dim=3, pooling=pooling)
    layer.build([branch.shape for branch in inputs])
    y = to_numpy(as_one_program(layer)(inputs))
    w1, w2 = (to_numpy(weight) for weight in layer.weights)
    expected = references.split_attention(inputs, w1, w2, pooling)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@once
@pytest.mark.parametrize(
    "shapes", [[(2, 4, 4, 8), (2, 4, 5, 8)], [(2, 4, 4, 8)], [(2, 16, 8), (2, 16, 8)], (2, 4, 4, 8)]
)
def test_split_attention_needs_maps_of_one_shape(shapes):
    with pytest.raises(ValueError, match=r"two or more maps of one shape.*Received: `input_shape="):
        layers.SplitAttention().compute_output_shape(shapes)


@once
def test_patches_start_as_those_of_pytorch():
    inputs = keras.Input((8, 12, 3))
    layer = layers.patch_embedding(inputs, 200, 4)._keras_history.operation
    limit = (4 * 4 * 3) ** -0.5
    for values in map(to_numpy, layer.get_weights()):
        assert np.abs(values).max() <= limit
        assert values.std() == pytest.approx(limit / np.sqrt(3), rel=0.15)
    given = layers.patch_embedding(inputs, 200, 4, kernel_initializer="ones")
    kernel, bias = given._keras_history.operation.get_weights()
    assert (kernel == 1).all() and (bias == 0).all()
    keras.config.set_image_data_format("channels_first")
    assert layers.patch_embedding(inputs, 5, 4).shape == (None, 2, 3, 5)


@once
@pytest.mark.parametrize("channels, hidden", [(3, 1), (4, 1), (9, 2)])
def test_split_attention_has_a_quarter_of_the_channels(channels, hidden):
    layer = layers.SplitAttention()
    layer.build([(None, 4, 4, channels)] * 3)
    assert layer.weights[0].shape == (channels, hidden)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([1, 3, 5]), min_size=3, max_size=3),
    st.lists(st.integers(-9, 9), min_size=3, max_size=3),
    sides,
    sides,
    st.sampled_from([3, 5, 6, 8, 11]),
)
def test_mix_shift_is_its_formula(kernel_sizes, shifts, height, width, channels):
    x = normal(2, height, width, channels)
    layer = layers.MixShift(kernel_sizes, shifts)
    layer.build(x.shape)
    y = to_numpy(as_one_program(layer)(x))
    horizontal, vertical = (
        [[to_numpy(weight) for weight in group] for group in branch]
        for branch in (layer.horizontal, layer.vertical)
    )
    expected = references.mix_shift(x, kernel_sizes, shifts, horizontal, vertical)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden_layer(name):
    facts = GOLDEN_CASES[name]
    x, expected = GOLDEN[f"{name}/input"], GOLDEN[f"{name}/output"]
    weights = {
        key.removeprefix(f"{name}/weights/"): GOLDEN[key]
        for key in GOLDEN.files
        if key.startswith(f"{name}/weights/")
    }
    if facts["op"] == "split_attention":
        x = [x[:, k] for k in range(x.shape[1])]  # (B, K, H, W, C) -> K x (B, H, W, C)
        layer = layers.SplitAttention(facts["hidden"])
        layer.build([branch.shape for branch in x])
        layer.set_weights([weights["mlp1.weight"].T, weights["mlp2.weight"].T])
    elif facts["op"] == "mix_shift":
        layer = layers.MixShift(facts["kernel_sizes"], facts["shift_dist"])
        layer.build(x.shape)
        values = []
        for branch in ("dwconv_lr", "dwconv_td"):
            for group in range(len(facts["kernel_sizes"])):
                kernel = weights[f"{branch}.{group}.weight"].transpose(2, 3, 0, 1)
                values += [kernel, weights[f"{branch}.{group}.bias"]]
        layer.set_weights(values)
    else:
        order = "wh" if facts["op"] == "shift2" else "hw"
        border = "assign" if facts.get("border") == "assign" else "clamp"
        layer = layers.SpatialShift(facts.get("variant", "a"), order, border)
    exact = isinstance(layer, layers.SpatialShift)
    np.testing.assert_allclose(
        to_numpy(as_one_program(layer)(x)), expected, rtol=0, atol=0 if exact else 2e-6
    )


LAYERS = {
    "affine": lambda **kw: layers.Affine(**kw),
    "layer_scale": lambda **kw: layers.LayerScale(0.5, **kw),
    "mix_shift": lambda **kw: layers.MixShift((1, 3, 5), (-1, 0, 7), **kw),
    "s2_attention": lambda **kw: layers.S2Attention(**kw),
    "spatial_shift": lambda **kw: layers.SpatialShift(**kw),
    "spatial_shift_diagonal": lambda **kw: layers.SpatialShift("b", "wh", "assign", **kw),
    **families.LAYERS,
}


@pytest.mark.skipif(BACKEND not in ("tensorflow", "jax"), reason="no jit compilation")
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_jit_compiled(make):
    inputs = keras.Input((5, 4, 11))
    model = keras.Model(inputs, make()(inputs))
    x = normal(2, 5, 4, 11)
    np.testing.assert_allclose(run_jitted(model, x), to_numpy(model(x)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="its graphs take the time of a first step")
@pytest.mark.parametrize(
    "shape, reads_the_size", [((None, 3, 4, 5), False), ((None, 7, 5), False), ((None,) * 3, True)]
)
def test_a_dense_layer_adds_few_operations_to_a_graph(shape, reads_the_size):
    import tensorflow as tf

    layer = Dense(6)
    layer.build((None, 5))
    call = tf.function(layer.call, autograph=False)
    graph = call.get_concrete_function(tf.TensorSpec((*shape[:-1], 5))).graph
    kinds = {operation.type for operation in graph.get_operations()}
    kinds -= {"Placeholder", "ReadVariableOp", "Const", "Identity", "NoOp"}
    expected = {"MatMul", "BiasAdd", "Reshape"}
    assert kinds == (expected | {"Shape", "StridedSlice", "Pack"} if reads_the_size else expected)


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch has two forms of the product")
@pytest.mark.parametrize("make", [layers.TokenDense, Dense], ids=str)
def test_products_and_gradients_of_other_processors_are_the_same(make, monkeypatch):
    import torch

    layer, x = make(6), torch.tensor(normal(2, 5, 4), requires_grad=True)
    layer.build(x.shape)
    found, convolutions = {}, []
    monkeypatch.setattr("keras.ops.conv", lambda *a, **k: convolutions.append(a) or conv(*a, **k))
    for amd in (False, True):
        monkeypatch.setattr(device, "HAS_AMD_PROCESSOR", amd)
        y = layer(x)
        weights = [weight.value for weight in layer.trainable_weights]
        found[amd] = [y, *torch.autograd.grad((y * y).sum(), [x, *weights])]
        assert len(convolutions) == amd
    for ours, expected in zip(found[True], found[False]):
        np.testing.assert_allclose(ours.detach(), expected.detach(), atol=1e-5)


@pytest.mark.skipif(BACKEND != "torch", reason="only PyTorch traces Python")
@pytest.mark.parametrize("make", [layers.TokenDense, Dense], ids=str)
def test_the_choice_of_a_product_leaves_one_graph(make):
    import torch

    layer, x = make(6), torch.tensor(normal(2, 5, 4))
    layer.build(x.shape)
    # Without `fullgraph`, PyTorch would return to Python wherever it can't trace.
    compiled = torch.compile(layer.call, backend="eager", fullgraph=True)
    np.testing.assert_allclose(to_numpy(compiled(x)), to_numpy(layer.call(x)), atol=1e-6)


def test_maker_of_the_processor(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    monkeypatch.setattr(device, "Path", lambda path: file)
    # Windows has no such file.
    for described in ("AMD64 Family 25 Model 33, AuthenticAMD", "Intel64 Family 6, GenuineIntel"):
        monkeypatch.setattr("platform.processor", lambda described=described: described)
        assert device.has_amd_processor() == ("AuthenticAMD" in described)
    for maker in ("AuthenticAMD", "GenuineIntel"):
        file.write_text(f"processor : 0\nvendor_id : {maker}\n")
        assert device.has_amd_processor() == (maker == "AuthenticAMD")


def test_token_bias_stays_with_the_tokens_where_there_are_as_many_channels():
    x = normal(2, 6, 6)
    layer = layers.TokenDense(6)
    layer.build(x.shape)
    kernel, bias = normal(6, 6), normal(6, 1)
    layer.set_weights([kernel, bias])
    expected = np.einsum("bsc,st->btc", x, kernel) + bias
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=1e-5)
    again = layers.TokenDense.from_config(layer.get_config())
    again.build(x.shape)
    assert again.count_params() == layer.count_params()


def test_chunk_sizes_follow_torch():
    assert chunk_sizes(96, 5) == [20, 20, 20, 20, 16]
    assert chunk_sizes(103, 5) == [21, 21, 21, 21, 19]
    with pytest.raises(ValueError, match="`channels=6`"):
        chunk_sizes(6, 5)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: layers.SpatialShift("z"), "`setting='z'`"),
        (lambda: layers.SpatialShift(order="xy"), "`order='xy'`"),
        (lambda: layers.SpatialShift(border="wrap"), "`border='wrap'`"),
        (lambda: layers.SpatialShift()(np.zeros((1, 2, 2, 3), "float32")), "4 groups"),
        (lambda: layers.SpatialShift()(np.zeros((1, 2, 8), "float32")), "`SpatialShift` needs"),
        (lambda: layers.SplitAttention(pooling="max"), "`pooling='max'`"),
        (lambda: layers.SplitAttention(0), "`hidden_dim=0`"),
        (lambda: layers.SplitAttention()([np.zeros((1, 2, 2, 4), "float32")]), "two or more"),
        (lambda: layers.MixShift((1, 2), (0, 1)), "odd"),
        (lambda: layers.MixShift((1, 3), (0,)), "one entry per group"),
        (lambda: layers.S2Attention(0.0), "`split_attention_ratio=0.0`"),
        (lambda: layers.channel_mlp(keras.Input((4,)), 8, gelu="relu"), "`gelu='relu'`"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
