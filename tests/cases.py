"""The backend under test, and how to run a model on it."""

from pathlib import Path

import keras
from families import MODEL_CASES as MODEL_CASES

HERE = Path(__file__).parent
BACKEND = keras.backend.backend()
TRAINS = BACKEND in ("tensorflow", "jax", "torch")


def run(model, x):
    """The outputs as arrays. A call on JAX would compile each operation separately."""
    if BACKEND == "jax":
        return model.predict(x, verbose=0)
    return keras.tree.map_structure(keras.ops.convert_to_numpy, model(x))


def run_jitted(model, x):
    """The outputs as an array, always compiled by XLA."""
    if BACKEND == "jax":
        return model.predict(x, verbose=0)
    import tensorflow as tf

    return tf.function(lambda x: model(x), jit_compile=True)(x).numpy()
