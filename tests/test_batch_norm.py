"""The families with BatchNormalization: statistics when frozen, accumulated, averaged, shared."""

import os
import subprocess
import sys
from functools import partial

import keras
import numpy as np
import pytest
from cases import BACKEND, as_one_program, trains

import keras_shiftmlp
from keras_shiftmlp.kernels.batch_norm import BatchNormalization

to_numpy = keras.ops.convert_to_numpy
pytestmark = trains
MOMENTUM = 0.9
# One block each.
NETWORKS = {
    "HireMLP": dict(dims=(8,), depths=(1,), region_sizes=(2,), shift_cycles=(2,), shift_units=(1,)),
    "SMLPNet": dict(dims=(8,), depths=(1,)),
    "WaveMLP": dict(dims=(8,), depths=(1,), mlp_ratios=(2,), norm="batch", phase_conv="depthwise"),
}


def build(name):
    """The network with weights unlike 0 and 1, positive where they are variances."""
    model = keras_shiftmlp.get_model(name, **NETWORKS[name], input_shape=(16, 24, 3), classes=4)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(0.1 + 0.3 * np.abs(rng.normal(size=weight.shape)))
    return model


def images(seed):
    return np.random.default_rng(seed).uniform(0, 255, (4, 16, 24, 3)).astype("float32")


def statistics(model):
    return {w.path: to_numpy(w) for w in model.weights if "moving_" in w.path}


def call(model, x, training):
    """The outputs; the model keeps the new statistics."""
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    function = as_one_program(partial(model.stateless_call, training=training))
    y, others = function(trained, others, x)
    for variable, value in zip(model.non_trainable_variables, others, strict=True):
        variable.assign(value)
    return to_numpy(y)


def check_equal(actual, expected, atol=1e-5):
    assert actual.keys() == expected.keys()
    for path in actual:
        np.testing.assert_allclose(actual[path], expected[path], atol=atol, rtol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_norm_counts_the_batch_unless_it_is_frozen(name):
    x, model = images(0), build(name)
    inference, before = call(model, x, training=False), statistics(model)
    check_equal(statistics(model), before, atol=0)
    model.trainable = False
    frozen = keras_shiftmlp.ImageModel.from_config(model.get_config())  # as `load_model` does
    frozen.set_weights(model.get_weights())
    assert not frozen.trainable_variables
    np.testing.assert_allclose(call(frozen, x, training=True), inference, atol=1e-6)
    check_equal(statistics(frozen), before, atol=0)
    model.trainable = True
    assert np.abs(call(model, x, training=True) - inference).max() > 1e-3
    after = statistics(model)
    assert all(np.ptp(after[path] - before[path]) > 0 for path in before)
    # By hand for a norm whose inputs don't depend on other statistics.
    norm = next(layer for layer in model.layers if isinstance(layer, BatchNormalization))
    inputs = call(keras.Model(model.input, norm.input), x, training=False).astype("float64")
    for kind, of in (("moving_mean", np.mean), ("moving_variance", np.var)):
        path = f"{norm.name}/{kind}"
        expected = MOMENTUM * before[path] + (1 - MOMENTUM) * of(inputs, axis=(0, 1, 2))
        np.testing.assert_allclose(after[path], expected, rtol=1e-4)


def test_accumulated_gradients_count_every_batch():
    """Between two updates, each batch is normalised by itself and counts in the statistics."""
    model, expected = build("SMLPNet"), build("SMLPNet")
    model.compile(
        keras.optimizers.SGD(1e-3, gradient_accumulation_steps=2),
        "sparse_categorical_crossentropy",
        jit_compile=BACKEND == "jax",
    )
    for step in range(2):
        weights = [to_numpy(weight) for weight in model.trainable_weights]
        model.train_on_batch(images(step), np.arange(4))
        call(expected, images(step), training=True)
        check_equal(statistics(model), statistics(expected))
        changed = [np.abs(to_numpy(w) - b).max() for w, b in zip(model.trainable_weights, weights)]
        assert (np.max(changed) > 0) == (step == 1)


def test_the_average_of_the_weights_keeps_the_statistics():
    """The statistics are averages already. The swap leaves those of the last batches."""
    runs = []
    for average in (False, True):
        model = build("SMLPNet")
        optimizer = keras.optimizers.SGD(1e-3, use_ema=average, ema_momentum=0.9)
        model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=BACKEND == "jax")
        swap = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if average else []
        batches = dict(batch_size=4, shuffle=False, verbose=0, callbacks=swap)
        model.fit(np.tile(images(0), (3, 1, 1, 1)), np.tile(np.arange(4), 3), **batches)
        runs.append((statistics(model), {w.path: to_numpy(w) for w in model.trainable_weights}))
    (expected, last), (actual, averaged) = runs
    check_equal(actual, expected, atol=0)
    assert any(np.abs(averaged[path] - last[path]).max() > 1e-6 for path in last)


@pytest.mark.skipif(BACKEND != "jax", reason="other backends count each device's own share")
def test_two_devices_count_the_whole_batch(tmp_path):
    """Half of the images on each device: statistics and outputs of one device."""
    model = build("SMLPNet")
    outputs = call(model, images(0), training=True)
    code = """if True:
        import sys, keras, numpy as np
        import test_batch_norm as t
        assert len(keras.distribution.list_devices()) == 2
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        model = t.build("SMLPNet")
        x = keras.distribution.distribute_tensor(
            t.images(0), keras.distribution.distribution().get_data_layout((4, 16, 24, 3))
        )
        assert not x.sharding.is_fully_replicated
        outputs = t.call(model, x, training=True)
        np.savez(sys.argv[1], outputs=outputs, **t.statistics(model))
    """
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join(sys.path)}
    out = tmp_path / "two.npz"
    subprocess.run([sys.executable, "-c", code, out], env=environment, check=True)
    with np.load(out) as two:
        actual = dict(two)
    np.testing.assert_allclose(actual.pop("outputs"), outputs, atol=1e-5)
    check_equal(actual, statistics(model))
