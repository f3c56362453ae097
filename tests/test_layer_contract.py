"""Every registered layer: config, shapes, precisions, unknown sizes, and exact gradients."""

import keras
import numpy as np
import pytest
from cases import BACKEND, as_one_program, loss_and_gradients, once
from families import LAYERS as MAP_LAYERS

from keras_shiftmlp import layers
from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.kernels.dense import Conv2D, Dense
from keras_shiftmlp.kernels.depthwise import DepthwiseConv2D
from keras_shiftmlp.layers.sparse_mlp import AxisDense

to_numpy = keras.ops.convert_to_numpy
MAP, TOKENS = (2, 5, 4, 11), (2, 6, 8)
# The layer, the shape of its input, and the axes that may be unknown.
LAYERS = {
    **{name: (make, MAP, (1, 2)) for name, make in MAP_LAYERS.items()},
    "affine": (lambda **kw: layers.Affine(**kw), MAP, (1, 2)),
    "axis_dense": (lambda **kw: AxisDense(7, **kw), TOKENS, ()),
    "batch_norm": (lambda **kw: BatchNormalization(**kw), MAP, (1, 2)),
    "cycle_fc": (lambda **kw: layers.CycleFC(7, 3, **kw), MAP, (1, 2)),
    "conv": (lambda **kw: Conv2D(7, 2, strides=2, **kw), MAP, (1, 2)),
    "dense": (lambda **kw: Dense(7, **kw), MAP, (1, 2)),
    "depthwise": (lambda **kw: DepthwiseConv2D(3, **kw), MAP, (1, 2)),
    "depthwise_bias": (lambda **kw: DepthwiseConv2D(5, use_bias=True, **kw), MAP, (1, 2)),
    "global_filter": (lambda **kw: layers.GlobalFilter(**kw), MAP, ()),
    "layer_scale": (lambda **kw: layers.LayerScale(0.5, **kw), MAP, (1, 2)),
    "mix_shift": (lambda **kw: layers.MixShift((1, 3, 5), (-1, 0, 7), **kw), MAP, (1, 2)),
    "patch_merging": (lambda **kw: layers.PatchMerging(**kw), MAP, (1, 2)),
    "position_embedding": (lambda **kw: layers.PositionEmbedding(**kw), MAP, ()),
    "preprocessing": (
        lambda **kw: layers.ImagePreprocessing([0.1] * 11, [0.2] * 11, **kw),
        MAP,
        (1, 2),
    ),
    "s2_attention": (lambda **kw: layers.S2Attention(**kw), MAP, (1, 2)),
    "silu_gate": (lambda **kw: layers.SiLUGate(**kw), TOKENS, (1,)),
    "silu_gate_of_tokens": (lambda **kw: layers.SiLUGate(axis=1, **kw), TOKENS, ()),
    "sparse_mlp": (lambda **kw: layers.SparseMLP(**kw), MAP, ()),
    "spatial_gating_unit": (lambda **kw: layers.SpatialGatingUnit(**kw), TOKENS, ()),
    "spatial_shift": (lambda **kw: layers.SpatialShift(**kw), MAP, (1, 2)),
    "spatial_shift_wh": (lambda **kw: layers.SpatialShift("b", "wh", "assign", **kw), MAP, (1, 2)),
    "split_attention": (lambda **kw: layers.SplitAttention(5, **kw), [MAP] * 3, (1, 2)),
    "token_dense": (lambda **kw: layers.TokenDense(7, **kw), TOKENS, ()),
    "weighted_permute_mlp": (lambda **kw: layers.WeightedPermuteMLP(**kw), (2, 4, 6, 12), ()),
}
each = pytest.mark.parametrize("make, shape, unknown", LAYERS.values(), ids=LAYERS)


def random(shape):
    """An array of that shape, or one for each shape of a list."""
    if isinstance(shape, list):
        return [random(one) + i for i, one in enumerate(shape)]
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


def randomized(layer):
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(0.2 + np.abs(to_numpy(weight) + 0.2 * rng.normal(size=weight.shape)))
    return layer


def floats(y):
    return to_numpy(keras.ops.cast(y, "float32"))


def test_no_registered_layer_is_left_out():
    registered = {
        thing
        for name, thing in keras.saving.get_custom_objects().items()
        if name.startswith("keras_shiftmlp>")
        and isinstance(thing, type)
        and issubclass(thing, keras.layers.Layer)
        and not issubclass(thing, keras.Model)
        and not thing.__module__.startswith("keras_shiftmlp.keras_hub")  # preprocessors of photos
    }
    assert len(registered) > 20
    assert registered - {type(make()) for make, *_ in LAYERS.values()} == set()
    public = {getattr(layers, name) for name in layers.__all__}
    assert {thing for thing in public if isinstance(thing, type)} <= registered


@each
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_contract(make, shape, unknown, policy):
    """Config, shapes, dtypes and trainability survive; half precision is near to full."""
    x = random(shape)
    layer = make(dtype=policy)
    layer.build(shape)
    y = as_one_program(randomized(layer))(x)
    assert keras.backend.standardize_dtype(y.dtype) == layer.compute_dtype
    assert layer.compute_output_shape(shape) == tuple(y.shape)
    spec = keras.tree.map_shape_structure(lambda one: keras.KerasTensor(one, "float32"), shape)
    symbolic = layer.compute_output_spec(spec)
    assert symbolic.shape == tuple(y.shape)
    assert symbolic.dtype == layer.compute_dtype
    layer.trainable = False
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert type(again) is type(layer) and again.get_config() == layer.get_config()
    if not again.built:
        again.build(shape)
    again.set_weights(layer.get_weights())
    assert not any(weight.trainable for weight in again.weights)
    np.testing.assert_array_equal(floats(as_one_program(again)(x)), floats(y))
    if policy != "float32":
        full = make(dtype="float32")
        full.build(shape)
        full.set_weights(layer.get_weights())
        expected = floats(as_one_program(full)(x))
        tolerance = 0.05 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(floats(y), expected, atol=tolerance)


@once
@each
def test_kernels_start_as_the_initializer_says(make, shape, unknown):
    if "kernel_initializer" not in make().get_config():
        pytest.skip("it has no kernel")
    layer = make(kernel_initializer=keras.initializers.Constant(0.3))
    layer(random(shape))
    named = [(weight.path.split("/")[-1], weight) for weight in layer.weights]
    kernels = [weight for name, weight in named if "kernel" in name or name == "complex_weight"]
    assert kernels
    for kernel in kernels:
        np.testing.assert_allclose(to_numpy(kernel), 0.3, rtol=1e-6, err_msg=kernel.path)


@pytest.mark.parametrize("name", [name for name, (_, _, unknown) in LAYERS.items() if unknown])
def test_unknown_sizes(name):
    make, shape, unknown = LAYERS[name]
    free = keras.tree.map_shape_structure(
        lambda one: keras.Input([None if i in unknown else n for i, n in enumerate(one)][1:]),
        shape,
    )
    layer = make()
    model = keras.Model(free, layer(free))
    randomized(layer)
    # A convolution without padding needs a window.
    tiny = [] if shape != MAP or name == "conv" else [(1, 3), (3, 1), (1, 1)]
    for one in (shape, *((1, *sides, MAP[-1]) for sides in tiny)):
        x = random(one)
        expected = floats(as_one_program(layer)(x))
        assert all(n in (None, m) for n, m in zip(model.output_shape, expected.shape))
        np.testing.assert_allclose(floats(as_one_program(model)(x)), expected, atol=1e-5)


def tensor(x):
    return keras.ops.convert_to_tensor(x, dtype="float64")


# JAX has float64 off. There, `test_gradients.py` compares the gradients of whole networks.
@pytest.mark.skipif(BACKEND not in ("tensorflow", "torch"), reason="trains in float64 only there")
@each
def test_gradient_is_that_of_finite_differences(make, shape, unknown):
    """In float64, for the weights and the inputs, along five directions.

    The bound is that of float32: `keras.ops.matmul` of Keras 3.15 returns float32 for float64.
    """
    inputs = keras.tree.map_shape_structure(
        lambda one: keras.Input(one[1:], dtype="float64"), shape
    )
    # Its weights stand for the inputs.
    moved = keras.tree.map_structure(
        lambda one: (
            layers.PositionEmbedding(dtype="float64")(one)
            if len(one.shape) == 4
            else keras.layers.Dense(one.shape[-1], dtype="float64")(one)
        ),
        inputs,
    )
    y = make(dtype="float64")(moved)
    model = randomized(keras.Model(inputs, y))
    for weight in model.weights:
        if weight.path.endswith("_norm/beta"):
            weight.assign(weight + 4.0)  # away from the kink of a ReLU after the norm
    x = keras.tree.map_structure(lambda one: one.astype("float64"), random(shape))
    rng = np.random.default_rng(1)
    target = rng.normal(size=(shape[0][0] if isinstance(shape, list) else 2, *y.shape[1:]))

    def loss(y):
        return keras.ops.mean(keras.ops.square(y - tensor(target)))

    trained = [to_numpy(variable) for variable in model.trainable_variables]
    others = [to_numpy(variable) for variable in model.non_trainable_variables]
    _, gradients = loss_and_gradients(model, x, loss)
    assert all(gradient.dtype == "float64" for gradient in gradients)

    def at(direction, step):
        moved = [value + step * d for value, d in zip(trained, direction)]
        moved, kept = keras.tree.map_structure(tensor, (moved, others))
        y, _ = model.stateless_call(moved, kept, x, training=True)
        return float(np.mean((to_numpy(y) - target) ** 2))

    for _ in range(5):
        direction = [rng.normal(size=value.shape) for value in trained]
        # Two central differences cancel the error of the second order (Richardson).
        wide, narrow = ((at(direction, h) - at(direction, -h)) / (2 * h) for h in (2e-3, 1e-3))
        product = sum(np.sum(g * d) for g, d in zip(gradients, direction))
        assert product == pytest.approx((4 * narrow - wide) / 3, rel=2e-3, abs=2e-3)
