"""Axial shift: the token mixing of AS-MLP, channel groups moved along one axis of the map."""

import math
from typing import Any

import keras
from keras import ops

# The axes of a map `(B, H, W, C)`.
AXES = {"vertical": 1, "horizontal": 2}


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class AxialShift(keras.layers.Layer):
    """Moves each group of channels by its own distance along one axis, with zeros at the border.

    The `C` channels are cut into groups of `ceil(C / k)`, the last one takes the rest, where `k` is
    the shift size. Group `g`, counted from 0, moves by `d = g - (k - 1) / 2`. For the horizontal
    axis:

        y[b, i, j, c] = x[b, i, j - d, c]  if 0 <= j - d < W, else 0

    A positive distance moves content right, or down for the vertical axis. Nothing wraps around. If
    `|d|` is at least the length of the axis, the group becomes zero. Some widths give fewer than
    `k` groups; then the last distances do not occur.

    Args:
        shift_size: Number of groups `k`, odd. 1 moves nothing.
        axis: `"horizontal"` moves along the width, `"vertical"` along the height.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` of any dtype, `H` and `W` may be unknown.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For an even shift size or one below 1, an unknown axis, or an input that is not
            `(B, H, W, C)`.

    Reference: [AS-MLP](https://arxiv.org/abs/2107.08391), section 3.2 and Figure 2.

    Example:

    >>> x = keras.ops.ones((1, 1, 3, 3))
    >>> y = AxialShift(3)(x)  # one channel moves left, one stays, one moves right
    >>> keras.ops.convert_to_numpy(y)[0, 0].T.tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]
    """

    def __init__(self, shift_size: int = 5, axis: str = "horizontal", **kwargs: Any):
        super().__init__(**kwargs)
        check_shift_size(shift_size)
        if axis not in AXES:
            raise ValueError(
                f"`axis` must be 'horizontal' or 'vertical'. Received: `axis={axis!r}`"
            )
        self.shift_size = shift_size
        self.axis = axis

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        axis, channels, margin = AXES[self.axis], inputs.shape[-1], self.shift_size // 2
        padding = [(0, 0)] * 4
        padding[axis] = (margin, margin)
        padded = ops.pad(inputs, padding)  # (B, H, W + k - 1, C)
        size = math.ceil(channels / self.shift_size)
        outputs = []
        for group, start in enumerate(range(0, channels, size)):
            # The group moves by `group - margin`: its window starts so many lines further up.
            window = slice(2 * margin - group, -group or None)
            before = (slice(None),) * axis
            # (B, H, W + k - 1, C) -> (B, H, W, C_g)
            outputs.append(padded[(*before, window)][..., start : start + size])
        return ops.concatenate(outputs, axis=-1)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`AxialShift` needs a map of shape `(B, H, W, C)`. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "shift_size": self.shift_size, "axis": self.axis}


def check_shift_size(shift_size: int) -> None:
    """Raises unless the shift size is odd and positive."""
    if shift_size < 1 or shift_size % 2 == 0:
        raise ValueError(
            f"`shift_size` must be odd and positive. Received: `shift_size={shift_size!r}`"
        )
