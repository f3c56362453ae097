"""The optimizer of the recipes: schedule, decay, clip, average, and rates per depth."""

import keras
import numpy as np
import pytest
from cases import BACKEND, once, trains

from keras_shiftmlp import training
from keras_shiftmlp.kernels.optimizers import AdamW
from keras_shiftmlp.training.optimizers import WarmupDecay, layer_groups

of_keras = pytest.mark.skipif(BACKEND != "torch", reason="Keras's own optimizer on each backend")


@pytest.mark.parametrize(
    ("schedule", "quarter"), [("cosine", 0.01 + 0.99 * (2 + 2**0.5) / 4), ("linear", 0.7525)]
)
def test_the_rate_grows_and_falls(schedule, quarter):
    rate = WarmupDecay(1.0, 0.1, 0.01, steps=110, warmup_steps=10, schedule=schedule)
    values = [float(rate(step)) for step in (0, 5, 10, 35, 60, 110, 200)]
    expected = [0.1, 0.55, 1.0, quarter, 0.505, 0.01, 0.01]
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(rate))
    assert float(again(35)) == values[3]
    plain = WarmupDecay(1.0, 0.1, 0.01, steps=100, warmup_steps=0, schedule=schedule)
    np.testing.assert_allclose(
        [float(plain(step)) for step in (0, 25, 50, 100)], [1.0, quarter, 0.505, 0.01], rtol=1e-5
    )


@once
def test_groups_run_from_the_stem_to_the_head(case):
    model = case.build()
    groups = layer_groups(model)
    assert set(groups) == {id(variable) for variable in model.trainable_variables}
    order = [groups[id(v)] for v in model.trainable_variables if "block" in v.path]
    assert order == sorted(order)
    head = groups[id(model.get_layer("predictions").kernel)]
    assert head == max(groups.values())
    assert set(groups.values()) == set(range(head + 1))  # no rate is skipped


@trains
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"amsgrad": True},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1},
        {"gradient_accumulation_steps": 2, "clipnorm": 0.2},
        {"use_ema": True, "ema_overwrite_frequency": 2, "loss_scale_factor": 8.0},
    ],
    ids=str,
)
def test_our_adamw_is_that_of_keras(options):
    rng = np.random.default_rng(0)
    start, *gradients = rng.normal(size=(6, 6, 5)).astype("float32")
    values = []
    for kind in (keras.optimizers.AdamW, AdamW):
        matrix, vector = keras.Variable(start), keras.Variable(start[0])
        optimizer = kind(WarmupDecay(0.3, 0.1, 0.01, 5, 2), weight_decay=0.2, **options)
        optimizer.exclude_from_weight_decay(var_list=[vector])
        for gradient in gradients:
            both = [keras.ops.convert_to_tensor(x) for x in (gradient, gradient[0])]
            optimizer.apply(both, [matrix, vector])
        state = [variable.numpy() for variable in optimizer.variables]
        rate = keras.ops.convert_to_numpy(optimizer.learning_rate)
        values.append([matrix.numpy(), vector.numpy(), *state, rate])
    assert np.abs(values[0][0] - start).max() > 0.1
    # Keras's own of PyTorch rounds differently.
    for theirs, ours in zip(*values, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5 if BACKEND == "torch" else 1e-7)


@trains
def test_a_rate_that_is_set_is_used():
    variable = keras.Variable(np.ones((2, 2), "float32"))
    optimizer = AdamW(0.5, weight_decay=0.0)
    optimizer.build([variable])
    optimizer.learning_rate = 0.25
    optimizer.apply([keras.ops.ones((2, 2))])
    np.testing.assert_allclose(variable.numpy(), 0.75, rtol=1e-5)
    assert float(optimizer.learning_rate) == 0.25


@pytest.mark.skipif(BACKEND != "tensorflow", reason="its graphs take the time of a first step")
def test_what_variables_share_is_in_the_graph_once():
    import tensorflow as tf

    model = two_layers()
    optimizer = training.build_optimizer(model, 100, **SETTINGS)
    optimizer.build(model.trainable_variables)
    count = len(model.trainable_variables)

    @tf.function(autograph=False)
    def update(*gradients):
        optimizer.apply(gradients)

    specs = [tf.TensorSpec(v.shape, v.dtype) for v in model.trainable_variables]
    operations = update.get_concrete_function(*specs).graph.get_operations()
    kinds = [operation.type for operation in operations]
    assert kinds.count("Pow") == 1 and kinds.count("Cos") == 1
    assert kinds.count("Sqrt") == count + 1
    assert len(kinds) < 30 * count + 50


SETTINGS = dict(learning_rate=1e-2, weight_decay=0.5)


@of_keras
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_vectors_do_not_decay_and_rates_fall_with_depth(case, layer_decay):
    """With gradients of zero AdamW leaves nothing but its decay, `rate * weight_decay`."""
    model = case.build()
    for variable in model.trainable_variables:
        variable.assign(keras.ops.ones(variable.shape))
    optimizer = training.build_optimizer(model, 100, layer_decay=layer_decay, **SETTINGS)
    assert isinstance(optimizer, keras.optimizers.AdamW) == (layer_decay == 1)
    zeros = [keras.ops.zeros(variable.shape) for variable in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    groups = layer_groups(model)
    for variable in model.trainable_variables:
        rate = 1e-2 * layer_decay ** (max(groups.values()) - groups[id(variable)])
        expected = 1.0 if len(variable.shape) < 2 else 1 - 0.5 * rate
        values = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(values, expected, rtol=1e-6, err_msg=variable.path)


def two_layers():
    return keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, name="block_0"),
            keras.layers.Dense(1, name="head"),
        ]
    )


@of_keras
def test_the_clip_is_over_all_variables_with_layer_decay():
    model = two_layers()
    seen = []
    optimizer = training.build_optimizer(model, 9, layer_decay=0.5, clip_norm=1.0, **SETTINGS)
    optimizer.build(model.trainable_variables)
    for inner in optimizer.optimizers:
        inner.apply = lambda grads, variables: seen.extend(grads)
    grads = [keras.ops.full(v.shape, 3.0) for v in model.trainable_variables]
    optimizer.apply(grads, model.trainable_variables)
    norm = np.sqrt(sum(float(keras.ops.sum(grad * grad)) for grad in seen))
    np.testing.assert_allclose(norm, 1.0, rtol=1e-4)


@once
def test_bad_settings_are_refused(case):
    model = case.build()
    with pytest.raises(ValueError, match="schedule='step'"):
        training.build_optimizer(model, 10, learning_rate=1e-3, schedule="step")
    with pytest.raises(ValueError, match="accumulate=2"):
        training.build_optimizer(model, 10, learning_rate=1e-3, layer_decay=0.5, accumulate=2)


BAD = {
    "learning_rate": [0, -1e-3, "1e-3", float("nan")],
    "warmup_steps": [-1, 1.5],
    "warmup_learning_rate": [-1e-3],
    "final_learning_rate": [float("inf")],
    "weight_decay": [-0.1],
    "clip_norm": [0, -1.0],
    "ema_momentum": [1, -0.1],
    "accumulate": [0, 1.5],
    "layer_decay": [0, 1.1],
}


@once
@pytest.mark.parametrize("name", BAD)
def test_arguments_out_of_range_are_refused(name):
    for value in BAD[name]:
        with pytest.raises(ValueError, match=rf"`{name}` must be .* Received: `{name}="):
            training.build_optimizer(two_layers(), 10, **{"learning_rate": 1e-3, name: value})


def values_of(model):
    return np.concatenate([value.ravel() for value in model.get_weights()])


def first_momenta(optimizer):
    """The running mean of the gradient of each variable, after one update a tenth of it."""
    momenta = [variable for variable in optimizer.variables if "momentum" in variable.path]
    return [keras.ops.convert_to_numpy(variable).item() for variable in momenta]


def apply(optimizer, model, gradient):
    grads = [keras.ops.full(v.shape, gradient) for v in model.trainable_variables]
    optimizer.apply(grads, model.trainable_variables)


@of_keras
@pytest.mark.parametrize(("gradient", "norm"), [(3.0, 1.0), (0.25, 0.5)])
def test_the_clip_is_over_all_variables(gradient, norm):
    """Four equal gradients; Adam's first momentum is a tenth of the clipped gradient."""
    model = two_layers()
    optimizer = training.build_optimizer(model, 9, clip_norm=1.0, **SETTINGS)
    apply(optimizer, model, gradient)
    np.testing.assert_allclose(first_momenta(optimizer), [0.1 * norm / 2] * 4, rtol=1e-5)
    free = training.build_optimizer(model, 9, **SETTINGS)
    apply(free, model, gradient)
    np.testing.assert_allclose(first_momenta(free), [0.1 * gradient] * 4, rtol=1e-5)


@of_keras
def test_the_rate_of_each_update_is_that_of_the_schedule():
    """A constant gradient moves every variable by the rate."""
    model = two_layers()
    settings = dict(learning_rate=0.1, warmup_learning_rate=0.02, final_learning_rate=0.01)
    optimizer = training.build_optimizer(
        model, 8, warmup_steps=2, schedule="linear", weight_decay=0.0, **settings
    )
    seen = [values_of(model)]
    for _ in range(9):
        apply(optimizer, model, 1.0)
        seen.append(values_of(model))
    rates = -np.diff(seen, axis=0)
    expected = [0.02, 0.06, 0.1, 0.085, 0.07, 0.055, 0.04, 0.025, 0.01]
    np.testing.assert_allclose(rates, np.tile(expected, (4, 1)).T, rtol=2e-3)


@of_keras
@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_the_average_has_its_momentum(momentum):
    model = two_layers()
    optimizer = training.build_optimizer(model, 9, ema_momentum=momentum, **SETTINGS)
    average = None
    for _ in range(4):
        apply(optimizer, model, 1.0)
        now = values_of(model)
        average = now if average is None else momentum * average + (1 - momentum) * now
    optimizer.finalize_variable_values(model.trainable_variables)
    np.testing.assert_allclose(values_of(model), average, rtol=1e-5)


@of_keras
def test_gradients_are_accumulated():
    model = two_layers()
    optimizer = training.build_optimizer(model, 9, accumulate=3, **SETTINGS)
    start = values_of(model)
    for gradient in (1.0, 2.0):
        apply(optimizer, model, gradient)
        np.testing.assert_array_equal(values_of(model), start)
    apply(optimizer, model, 6.0)
    assert (values_of(model) != start).all()
    # The mean of the three.
    np.testing.assert_allclose(first_momenta(optimizer), [0.1 * 3.0] * 4, rtol=1e-5)
