"""The backend under test, and how to run a model on it."""

from pathlib import Path

import keras
import numpy as np
import pytest
from families import MODEL_CASES

HERE = Path(__file__).parent
BACKEND = keras.backend.backend()
TRAINS = BACKEND in ("tensorflow", "jax", "torch")
# `jit_compile` where compiling is not the subject. JAX would compile each operation separately;
# TensorFlow is faster without XLA.
JIT = BACKEND == "jax"
# These stand for all networks where the backend matters, but the network hardly does: on JAX and
# TensorFlow each network costs seconds of compilation. One backend runs all.
SAMPLE = ("mixer", "s2_mlp_v2", "s2_mlp_pyramid", "ms_mlp")
# One network of each constructor.
FAMILIES = {case.constructor: case for case in reversed(MODEL_CASES.values())}
all_on_numpy, all_on_torch, all_on_tensorflow = map(
    pytest.mark.all_on, ("numpy", "torch", "tensorflow")
)
# What is the same on every backend runs on NumPy, or on PyTorch if it needs training.
once = pytest.mark.skipif(BACKEND != "numpy", reason="the same on every backend")
once_on_torch = pytest.mark.skipif(BACKEND != "torch", reason="once; torch starts fastest")
trains = pytest.mark.skipif(not TRAINS, reason=f"{BACKEND} does not train")


def one_block_per_stage(hyperparameters):
    """Hyper-parameters of the same network with fewer blocks, which compiles faster."""
    if "depth" in hyperparameters:
        return {"depth": 1}
    return {"depths": (1,) * len(hyperparameters["depths"])}


def fingerprint(array):
    """The shape of an array, and two numbers that change with each of its elements."""
    direction = np.random.default_rng(0).normal(size=array.shape)
    return [*array.shape, float(np.linalg.norm(array)), float(np.sum(array * direction))]


def run(model, x):
    """The outputs as arrays.

    A call would compile each operation separately on JAX. On OpenVINO it would fold the whole
    network into a constant, which takes five times as long.
    """
    if BACKEND in ("jax", "openvino"):
        return model.predict(x, verbose=0)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x))


def as_one_program(function):
    """`function`, which JAX compiles as a whole; it would compile each operation separately."""
    if BACKEND != "jax":
        return function
    import jax

    return jax.jit(function)


def run_jitted(model, x):
    """The outputs as an array, always compiled by XLA."""
    if BACKEND == "jax":
        return model.predict(x, verbose=0)
    import tensorflow as tf

    return tf.function(lambda x: model(x), jit_compile=True)(x).numpy()


def loss_and_gradients(model, x, loss):
    """`loss(y)` of a training step, and its gradient for each trainable variable, as arrays."""
    variables = [variable.value for variable in model.trainable_variables]
    if BACKEND == "jax":
        import jax

        others = [variable.value for variable in model.non_trainable_variables]

        def function(variables):
            return loss(model.stateless_call(variables, others, x, training=True)[0])

        value, gradients = jax.jit(jax.value_and_grad(function))(variables)
    elif BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = loss(model(x, training=True))
        gradients = tape.gradient(value, variables)
    else:
        import torch

        value = loss(model(x, training=True))
        gradients = torch.autograd.grad(value, variables, allow_unused=True)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, (value, list(gradients)))
