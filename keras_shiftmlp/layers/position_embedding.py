"""Learned position embedding of a map."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.initializers import initial
from keras_shiftmlp.layers.resample import resample_bicubic


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class PositionEmbedding(keras.layers.Layer):
    """Adds a learned vector to every position: `y[b, i, j] = x[b, i, j] + E[i * W + j]`.

    Args:
        initializer: Initializer of the `H * W` vectors.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` with known `H`, `W` and `C`.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If the input is not `(B, H, W, C)` of known size.

    Reference: [GFNet](https://arxiv.org/abs/2107.00645), section 3.2.

    Example:

    >>> layer = PositionEmbedding()
    >>> tuple(layer(keras.ops.zeros((2, 7, 6, 16))).shape), tuple(layer.embedding.shape)
    ((2, 7, 6, 16), (42, 16))
    """

    needs_known_size = True

    def __init__(self, initializer: Any = "zeros", **kwargs):
        super().__init__(**kwargs)
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        _, *grid, channels = self.compute_output_shape(input_shape)
        self.grid = tuple(grid)
        self.embedding = self.add_weight(
            (math.prod(grid), channels), initial(self.initializer), name="embedding"
        )

    def call(self, inputs):
        # (H * W, C) -> (H, W, C)
        return inputs + ops.reshape(self.embedding, inputs.shape[1:])

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "`PositionEmbedding` needs a map `(B, H, W, C)` of known size. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def resample(
        self,
        name: str,
        array: np.ndarray,
        shape: tuple[int, ...],
        grid: tuple[int, int] | None,
    ) -> np.ndarray:
        """The vectors of another image size, interpolated bicubically as in the released code.

        Args:
            name: `"embedding"`.
            array: The vectors in the file, `(S, C)` or `(1, S, C)`.
            shape: Shape of the weight in this layer.
            grid: Not used: the layer knows its own map.

        Returns:
            The resampled vectors `(H * W, C)`, or `array` itself if it has another number of
            channels.

        Raises:
            ValueError: If the positions in the file do not form a square.
        """
        channels = shape[-1]
        if array.ndim < 2 or array.shape[-1] != channels:
            return array
        side = math.isqrt(array.size // channels)
        if side * side * channels != array.size:
            raise ValueError(
                "Only a square grid of positions can be resampled. "
                f"Received: {array.size // channels} positions"
            )
        # (1, S, C) -> (side, side, C) -> (H, W, C) -> (H * W, C)
        square = array.reshape(side, side, channels)
        return resample_bicubic(square, self.grid).reshape(shape)

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "initializer": initializer}
