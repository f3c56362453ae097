"""The gate of gMixer's MLPs, and the initializer of the layer before it."""

from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.initializers import initial


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class SiLUGate(keras.layers.Layer):
    """Multiplies the first half of an axis by the SiLU of the second half.

    With the halves `a` and `g` of the axis, `y = a * g * sigmoid(g)`. Together with a dense layer
    before it, this is a gated linear unit (SwiGLU) whose two kernels are stored as one.

    Args:
        axis: The axis to halve: `-1` for the channels, `1` for the tokens of `(B, S, C)`.

    Call arguments:
        inputs: Tensor whose size along `axis` is known and even.

    Returns:
        Tensor of the input's shape, except half its size along `axis`.

    Raises:
        ValueError: If the size along `axis` is unknown or odd.

    Reference: [GLU Variants Improve Transformer](https://arxiv.org/abs/2002.05202), section 2.

    Example:

    >>> tuple(SiLUGate()(keras.ops.ones((2, 49, 16))).shape)
    (2, 49, 8)
    """

    # The SiLU of the gate, which `rematerialize` computes again.
    has_intermediate_results = True

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        # (B, S, C) -> 2 x (B, S, C / 2), or 2 x (B, S / 2, C)
        value, gate = ops.split(inputs, 2, axis=self.axis)
        return value * ops.silu(gate)

    def compute_output_shape(self, input_shape):
        shape = list(input_shape)
        size = shape[self.axis]
        if size is None or size % 2:
            raise ValueError(
                "`SiLUGate` needs a known, even size along its axis. "
                f"Received: `axis={self.axis!r}`, `input_shape={tuple(input_shape)}`"
            )
        shape[self.axis] = size // 2
        return tuple(shape)

    def get_config(self):
        return {**super().get_config(), "axis": self.axis}


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class HalvesInitializer(keras.initializers.Initializer):
    """Draws the two halves of an axis with two initializers.

    Each initializer sees the shape of the whole weight, so its fans are those of the whole.

    Args:
        first: Initializer of the first half.
        second: Initializer of the second half.
        axis: The axis to halve; its size must be even.

    Example:

    >>> keras.ops.convert_to_numpy(HalvesInitializer("zeros", "ones")((4,))).tolist()
    [0.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, first, second, axis: int = -1):
        self.first = keras.initializers.get(first)
        self.second = keras.initializers.get(second)
        self.axis = axis

    def __call__(self, shape, dtype=None):
        first, _ = ops.split(initial(self.first)(shape, dtype=dtype), 2, axis=self.axis)
        _, second = ops.split(initial(self.second)(shape, dtype=dtype), 2, axis=self.axis)
        return ops.concatenate([first, second], axis=self.axis)

    def get_config(self):
        return {
            "first": keras.initializers.serialize(self.first),
            "second": keras.initializers.serialize(self.second),
            "axis": self.axis,
        }
