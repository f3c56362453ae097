"""The two forms of GELU that published checkpoints were trained with."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
def gelu(x: Any) -> Any:
    """The exact GELU, PyTorch's default: `x / 2 * (1 + erf(x / sqrt(2)))`.

    Keras computes it by `erfc` on JAX and TensorFlow, which is half as fast on a CPU and has no
    ONNX operator; the two differ by less than 1e-7. Half-precision inputs are computed in float32,
    because `1 + erf` would lose digits.
    """
    if keras.backend.backend() not in ("jax", "tensorflow"):
        return keras.activations.gelu(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in ("float16", "bfloat16"):
        return ops.cast(gelu(ops.cast(x, "float32")), dtype)
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
def gelu_tanh(x: Any) -> Any:
    """GELU by its tanh approximation, flax's default: Google's Mixer files were trained with it."""
    return keras.activations.gelu(x, approximate=True)


GELU = {"erf": gelu, "tanh": gelu_tanh}


def gelu_activation(gelu: str) -> Callable[[Any], Any]:
    """The activation function by name: `"erf"` (exact) or `"tanh"`."""
    if gelu not in GELU:
        raise ValueError(f"`gelu` must be 'erf' or 'tanh'. Received: `gelu={gelu!r}`")
    return GELU[gelu]
