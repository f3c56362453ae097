"""Cycle fully-connected layer: CycleMLP's dense layer that reads along one axis of the map."""

from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.dense import Dense

AXES = {"height": 1, "width": 2}


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class CycleFC(Dense):
    """A dense layer whose input channels come from neighbouring positions along one axis.

    Channel `c` is read at a fixed distance that cycles through `S` steps, centred on 0:

        d(c) = (c + floor(S / 2)) mod S - floor(S / 2)            S = 3: 0, 1, -1, 0, 1, -1, ...
        y[b, i, j] = sum over c of x[b, i, j + d(c), c] W[c] + b  along the width

    Along the height, the row is `i + d(c)`. Positions outside the map are zero. The cost is that of
    a dense layer, and no parameter depends on the size of the map.

    Args:
        units: Channels of the output.
        step_size: The number of steps `S`, at least 1.
        axis: `"height"` or `"width"`, the axis to read along.
        **kwargs: Arguments of `keras.layers.Dense`.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`; sizes may be unknown.

    Returns:
        Tensor `(B, H, W, units)`.

    Raises:
        ValueError: For an unknown axis, a step size below 1 or an input that is not
            `(B, H, W, C)`.

    Reference: [CycleMLP](https://arxiv.org/abs/2107.10224), Eq. 4; the centred steps are those of
    the released code.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(1.0, 4.0), (1, 1, 3, 1)) * keras.ops.ones(3)
    >>> y = CycleFC(3, kernel_initializer="identity")(x)  # channel 1 reads right, channel 2 left
    >>> keras.ops.convert_to_numpy(y)[0, 0].tolist()
    [[1.0, 2.0, 0.0], [2.0, 3.0, 1.0], [3.0, 0.0, 2.0]]
    """

    def __init__(self, units: int, step_size: int = 3, axis: str = "width", **kwargs: Any):
        super().__init__(units, **kwargs)
        if axis not in AXES:
            raise ValueError(f"`axis` must be 'height' or 'width'. Received: `axis={axis!r}`")
        if step_size < 1:
            raise ValueError(f"`step_size` must be at least 1. Received: `step_size={step_size!r}`")
        self.step_size = step_size
        self.axis = axis

    def build(self, input_shape):
        if len(input_shape) != 4:
            raise ValueError(
                "`CycleFC` needs a map of shape `(B, H, W, C)`. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        super().build(input_shape)

    def call(self, inputs, training=None):
        return super().call(self._read(inputs), training=training)

    def quantized_call(self, inputs, training=None):
        # Keras calls this instead of `call` after `quantize`.
        return super().quantized_call(self._read(inputs), training=training)

    def _read(self, x):
        """Each channel of `(B, H, W, C)` from its own distance, zero outside the map."""
        axis, before = AXES[self.axis], self.step_size // 2
        after = self.step_size - 1 - before
        padding = [(before, after) if i == axis else (0, 0) for i in range(4)]
        padded = ops.pad(x, padding)
        steps = ops.arange(x.shape[-1]) % self.step_size  # (C,)
        for step in range(1, min(self.step_size, x.shape[-1])):
            distance = (step + before) % self.step_size - before
            # Counted from both ends, so that the size of the map may be unknown.
            moved = slice(before + distance, (distance - after) or None)
            moved = padded[:, moved] if axis == 1 else padded[:, :, moved]
            x = ops.where(steps == step, moved, x)
        return x

    def get_config(self):
        return {**super().get_config(), "step_size": self.step_size, "axis": self.axis}
