"""sMLPNet's token mixing: one dense layer along the rows and one along the columns."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.dense import Dense, Product, product
from keras_shiftmlp.kernels.initializers import initializers
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.resample import interpolation_matrix
from keras_shiftmlp.layers.token_dense import TokenDense


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class AxisDense(TokenDense):
    """A `TokenDense` along one axis of a map: its tokens form a line, not a grid.

    Example:

    >>> tuple(AxisDense(7)(keras.ops.ones((2, 7, 16))).shape)
    (2, 7, 16)
    """

    def resample(
        self,
        name: str,
        array: np.ndarray,
        shape: tuple[int, ...],
        grid: tuple[int, int] | None,
    ) -> np.ndarray:
        """Interpolates a weight for `n` positions to this layer's number of positions, linearly.

        The kernel is also scaled by the ratio of the numbers, so that more positions of equal
        content give the same sum.

        Args:
            name: `"kernel"` or `"bias"`.
            array: The weight in the file, `(n, n)` or `(n,)`.
            shape: Shape of the weight in this layer.
            grid: Rows and columns of the model's last feature map; it does not matter here.

        Returns:
            The resampled array, or `array` itself if it is no such weight.
        """
        n, new = array.shape[0], shape[0]
        matrix = interpolation_matrix(n, new)
        if name == "kernel" and array.shape == (n, n):
            resampled = n / new * matrix @ array.astype("float64") @ matrix.T
        elif name == "bias" and array.size == n:
            resampled = matrix @ array.astype("float64").reshape(n)
        else:
            return array
        return resampled.astype(array.dtype)


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class SparseMLP(keras.layers.Layer):
    """Connects each position with its row and its column, by weights that all positions share.

        a[b, h, j, c] = sum over w of x[b, h, w, c] P[w, j] + p[j]       along each row
        d[b, i, w, c] = sum over h of x[b, h, w, c] Q[h, i] + q[i]       along each column
        y = concat(x, a, d) W                                            (B, H, W, 3C) to C channels

    `P` and `Q` are the same for all channels. All weights start uniformly within
    `1 / sqrt(fan_in)`, as in the released code.

    Args:
        lora_rank: As for `keras.layers.Dense`, for the three dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` with known `H`, `W` and `C`; `P` and `Q` belong to one size.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If height or width is unknown.

    Reference: [sMLPNet](https://arxiv.org/abs/2109.05422), section 3; the order of the
    concatenation as in the released code.

    Example:

    >>> tuple(SparseMLP()(keras.random.normal((2, 7, 5, 16))).shape)
    (2, 7, 5, 16)
    """

    # The projections have one row per position of a row or column.
    needs_known_size = True

    def __init__(self, lora_rank: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.lora_rank = lora_rank

    def build(self, input_shape):
        _, height, width, channels = self.compute_output_shape(input_shape)
        # Keras passes these two to a layer's own weights only, not to layers inside it.
        shared = dict(dtype=self.dtype_policy, trainable=self.trainable)
        self.row = AxisDense(width, **initializers(None, width), **shared, name="row")
        self.row.build((None, width, channels))
        self.column = AxisDense(height, **initializers(None, height), **shared, name="column")
        self.column.build((None, height, channels))
        self.fuse = Dense(
            channels,
            use_bias=False,
            **initializers(None, 3 * channels),
            **shared,
            name="fuse",
        )
        self.fuse.build((None, 3 * channels))
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank: int) -> None:
        """Freezes the kernels and adds updates of `rank`, as in `keras.layers.Dense`."""
        for dense in (self.row, self.column, self.fuse):
            dense.enable_lora(rank)
        self.lora_rank = rank

    def call(self, inputs):
        _, height, width, channels = inputs.shape
        a = self.row(ops.reshape(inputs, (-1, width, channels)))  # (B, H, W, C) -> (B * H, W, C)
        a = ops.reshape(a, (-1, height, width, channels))  # (B * H, W, C) -> (B, H, W, C)
        d = self.column(ops.reshape(inputs, (-1, height, width * channels)))  # -> (B, H, W * C)
        d = ops.reshape(d, (-1, height, width, channels))  # (B, H, W * C) -> (B, H, W, C)
        return self.fuse(ops.concatenate([inputs, a, d], axis=-1))

    def compute_output_shape(self, input_shape):
        if None in input_shape[1:]:
            raise ValueError(
                "`SparseMLP` needs a known height, width and number of channels. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        _, height, width, channels = self.output.shape
        return [
            ((width, width), (batch_size * height, width, channels)),
            ((height, height), (batch_size, height, width * channels)),
            product(batch_size * math.prod((height, width)), self.fuse.kernel),
        ]

    def get_config(self):
        sublayers = [self.row, self.column, self.fuse] if self.built else []
        config = {"lora_rank": self.lora_rank}
        return {**super().get_config(), **config, **policy_map(self, sublayers)}
