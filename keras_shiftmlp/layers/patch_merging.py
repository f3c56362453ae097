"""Patch merging: the downsampling of Swin Transformer and AS-MLP, before its norm and product."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class PatchMerging(keras.layers.Layer):
    """Concatenates the four members of each 2 x 2 neighbourhood along the channels.

    With `(row, column)` inside the neighbourhood, the order is (0, 0), (1, 0), (0, 1), (1, 1): the
    rows vary first. An odd side gets one line of zeros at its end. A norm over the `4 C` channels
    and a dense layer without bias follow in the networks.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`, `H` and `W` at least 1 or unknown.

    Returns:
        Tensor `(B, ceil(H / 2), ceil(W / 2), 4 * C)`.

    Raises:
        ValueError: If the input is not `(B, H, W, C)`.

    Reference: [Swin Transformer](https://arxiv.org/abs/2103.14030), section 3.1.

    Example:

    >>> x = keras.ops.reshape(keras.ops.arange(4.0), (1, 2, 2, 1))
    >>> keras.ops.convert_to_numpy(PatchMerging()(x)).ravel().tolist()
    [0.0, 2.0, 1.0, 3.0]
    """

    strides = (2, 2)  # of a stage's first layer, as in a convolution

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.built = True

    def call(self, inputs):
        # (B, H, W, C) -> 2 x (B, H / 2, W, C) -> 4 x (B, H / 2, W / 2, C)
        rows = _even_and_odd(inputs, axis=1)
        (x00, x01), (x10, x11) = (_even_and_odd(x, axis=2) for x in rows)
        return ops.concatenate([x00, x10, x01, x11], axis=-1)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None:
            raise ValueError(
                "`PatchMerging` needs a map of shape `(B, H, W, C)`. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        batch, height, width, channels = input_shape
        height, width = (None if side is None else -(-side // 2) for side in (height, width))
        return (batch, height, width, 4 * channels)


def _even_and_odd(x, axis):
    """The even and the odd lines of `x`, as many of each: a missing odd line is zero."""
    before, side, padded = (slice(None),) * axis, x.shape[axis], x
    if side is None or side % 2:
        # At an unknown side that is even, no slice reaches the line of zeros.
        padded = ops.pad(x, [(0, int(i == axis)) for i in range(4)])
    return x[(*before, slice(0, None, 2))], padded[(*before, slice(1, None, 2))]
