"""Partial shift: the token mixing of ShiftViT, some of the channels moved by one position."""

from typing import Any

import keras
from keras import ops

# The axis of `(B, H, W, C)` and the step along it, one channel group each: left, right, up, down.
STEPS = ((2, -1), (2, 1), (1, -1), (1, 1))


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class PartialShift(keras.layers.Layer):
    """Moves four groups of channels by one position, with zeros at the border; the rest stays.

    Each group has `g = floor(C / n_div)` channels:

        y[b, i, j, c] = x[b, i, j + 1, c]  for c in [0, g)         moves left
        y[b, i, j, c] = x[b, i, j - 1, c]  for c in [g, 2 g)       moves right
        y[b, i, j, c] = x[b, i + 1, j, c]  for c in [2 g, 3 g)     moves up
        y[b, i, j, c] = x[b, i - 1, j, c]  for c in [3 g, 4 g)     moves down
        y[b, i, j, c] = x[b, i, j, c]      for c >= 4 g

    Values from outside the map are zero. An axis of length 1 makes its two groups zero. With
    `C < n_div`, nothing moves. With `n_div < 4`, the last groups are cut short or empty.

    Args:
        n_div: Number of equal divisions of the channels, of which each direction takes one.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` of any dtype, `H` and `W` at least 1 or unknown.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If `n_div` is below 1, or the input is not `(B, H, W, C)`.

    Reference: [ShiftViT](https://arxiv.org/abs/2201.10801), which takes the name of the operation
    from [TSM](https://arxiv.org/abs/1811.08383).

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(1.0, 4.0), (1, 1, 3, 1))
    >>> y = PartialShift(n_div=1)(x)  # a single channel moves left
    >>> keras.ops.convert_to_numpy(y).ravel().tolist()
    [2.0, 3.0, 0.0]
    """

    def __init__(self, n_div: int = 12, **kwargs: Any):
        super().__init__(**kwargs)
        if n_div < 1:
            raise ValueError(f"`n_div` must be at least 1. Received: `n_div={n_div!r}`")
        self.n_div = n_div

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        size = inputs.shape[-1] // self.n_div
        # (B, H, W, C) -> 4 x (B, H, W, g) and (B, H, W, C - 4 g)
        groups = [
            _move(inputs[..., k * size : (k + 1) * size], axis, step)
            for k, (axis, step) in enumerate(STEPS)
        ]
        groups.append(inputs[..., len(STEPS) * size :])
        return ops.concatenate([x for x in groups if x.shape[-1]], axis=-1)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`PartialShift` needs a map of shape `(B, H, W, C)`. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "n_div": self.n_div}


def _move(x, axis, step):
    """Moves `x` by a step of -1 or 1 along `axis`; the free line becomes zero."""
    padding = [(0, 0)] * 4
    padding[axis] = (1, 0) if step > 0 else (0, 1)
    window = slice(None, -1) if step > 0 else slice(1, None)
    return ops.pad(x, padding)[(*(slice(None),) * axis, window)]
