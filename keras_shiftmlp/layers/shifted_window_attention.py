"""Shifted window attention: the token mixing of Swin Transformer."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.dense import Dense, Product, inner_sizes, product
from keras_shiftmlp.kernels.initializers import initial
from keras_shiftmlp.kernels.precision import policy_map

# Added to the score of two positions that may not see each other; its exponential is zero.
HIDDEN = -100.0


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class ShiftedWindowAttention(keras.layers.Layer):
    """Multi-head self-attention inside the windows of a map, W-MSA or SW-MSA.

    The map is rolled up and left by the shift `s`, padded at the bottom and right with zeros and
    cut into windows of `w x w` positions. In each window and head, with `d = C / num_heads`:

        q, k, v = x W_qkv + b                                  (N, d) each, N = w * w
        y       = softmax(q k^T / sqrt(d) + B + M) v           (N, d)

    The heads are concatenated, the windows are put together again, the map is cropped and rolled
    back, and a last dense layer follows. `B[i, j]` is the relative position bias: a learned number
    for each head and each offset between the query `i` and the key `j`. `M[i, j]` is 0, or -100 for
    two positions of a window that the roll has brought together from opposite ends of the map.

    If a side of the map is at most `w`, one window covers it: this axis is not shifted, and the
    padding is hidden by the mask. The padding of longer sides is not hidden, as in timm's code: it
    takes its share of the softmax. No weight depends on the size of the map.

    Args:
        num_heads: Number of heads; a divisor of `C`.
        window_size: Side `w` of a window.
        shift_size: Shift `s`, from 0 (W-MSA) to `w - 1`. Swin Transformer has `w // 2` in every
            second block.
        always_partition: Whether a side of at most `w` is shifted and padded like a longer one.
        kernel_initializer: Initializer of the two dense kernels.
        lora_rank: As for `keras.layers.Dense`, for the two dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`, `H` and `W` at least 1 or unknown.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If the shift is not in `[0, w)`, the heads do not divide the channels, or the
            input is not `(B, H, W, C)`.

    Reference: [Swin Transformer](https://arxiv.org/abs/2103.14030), section 3.2 and Eq. 4.

    Example:

    >>> attention = ShiftedWindowAttention(num_heads=2, window_size=4, shift_size=2)
    >>> tuple(attention(keras.random.normal((2, 9, 5, 16))).shape)
    (2, 9, 5, 16)
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int = 7,
        shift_size: int = 0,
        always_partition: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        lora_rank: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 <= shift_size < window_size:
            raise ValueError(
                "`shift_size` must be at least 0 and below `window_size`. "
                f"Received: `shift_size={shift_size!r}`, `window_size={window_size!r}`"
            )
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift_size = shift_size
        self.always_partition = always_partition
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.lora_rank = lora_rank

    def build(self, input_shape):
        *_, channels = self.compute_output_shape(input_shape)
        # Keras passes the last two to a layer's own weights only, not to layers inside it.
        dense = dict(
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            trainable=self.trainable,
        )
        self.table = self.add_weight(
            ((2 * self.window_size - 1) ** 2, self.num_heads),
            initial(keras.initializers.RandomNormal(stddev=0.02)),
            name="relative_position_bias_table",
        )
        self.qkv = Dense(3 * channels, **dense, name="qkv")
        self.project = Dense(channels, **dense, name="project")
        for layer in (self.qkv, self.project):
            layer.build(input_shape)
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank: int) -> None:
        """Freezes the kernels and the table; updates of `rank` as in `keras.layers.Dense`."""
        self.table.trainable = False
        self.qkv.enable_lora(rank)
        self.project.enable_lora(rank)
        self.lora_rank = rank

    def call(self, inputs):
        (height, width), channels = inner_sizes(inputs), inputs.shape[-1]
        window, heads = self.window_size, self.num_heads
        positions, head_dim = window * window, channels // heads
        (rows, up, _), (columns, left, _) = self._cut(height), self._cut(width)

        x = _roll(_roll(inputs, up, 1), left, 2)
        x = ops.pad(x, ((0, 0), (0, rows - height), (0, columns - width), (0, 0)))
        # (B, H', W', C) -> (B, H' / w, w, W' / w, w, C) -> (B', N, C), B' = B * H' * W' / N
        x = ops.reshape(x, (-1, rows // window, window, columns // window, window, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, positions, channels))
        # (B', N, 3 C) -> (B', N, 3, heads, d) -> 3 x (B', heads, N, d)
        x = ops.reshape(self.qkv(x), (-1, positions, 3, heads, head_dim))
        q, k, v = ops.unstack(ops.transpose(x, (2, 0, 3, 1, 4)), 3, axis=0)

        # (B', heads, N, d) (B', heads, d, N) -> (B', heads, N, N)
        scores = ops.matmul(q * head_dim**-0.5, ops.transpose(k, (0, 1, 3, 2)))
        scores = ops.cast(scores, keras.backend.result_type(self.compute_dtype, "float32"))
        scores += ops.cast(self.relative_position_bias(), scores.dtype)
        mask = self.attention_mask(height, width)
        if mask is not None:
            # (B', heads, N, N) -> (B, windows, heads, N, N), and back
            grid = (-1, rows // window * (columns // window), heads, positions, positions)
            scores = ops.reshape(scores, grid) + ops.cast(mask[:, None], scores.dtype)
            scores = ops.reshape(scores, (-1, heads, positions, positions))
        weights = ops.cast(ops.softmax(scores, axis=-1), self.compute_dtype)

        # (B', heads, N, N) (B', heads, N, d) -> (B', heads, N, d) -> (B', N, heads, d)
        x = ops.transpose(ops.matmul(weights, v), (0, 2, 1, 3))
        # (B', N, heads, d) -> (B, H' / w, W' / w, w, w, C) -> (B, H', W', C) -> (B, H, W, C)
        x = ops.reshape(x, (-1, rows // window, columns // window, window, window, channels))
        x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, channels))
        x = x[:, :height, :width]
        return self.project(_roll(_roll(x, height - up, 1), width - left, 2))

    def _cut(self, side):
        """For an axis: its padded length, its roll, and the start of the last region to hide."""
        length = (side + self.window_size - 1) // self.window_size * self.window_size
        if self.always_partition:
            return length, self.shift_size % side, length - self.shift_size
        if isinstance(side, int):
            shift = self.shift_size if side > self.window_size else 0
            return length, shift, length - shift if side > self.window_size else side
        # A side that is known when the graph runs.
        is_longer = side > self.window_size
        shift = ops.where(is_longer, self.shift_size, 0)
        return length, shift, ops.where(is_longer, length - shift, side)

    def relative_position_bias(self):
        """The bias `(heads, N, N)` of each query and key."""
        positions, index = self.window_size**2, relative_position_index(self.window_size)
        # ((2 w - 1)^2, heads) -> (N * N, heads) -> (N, N, heads) -> (heads, N, N)
        bias = ops.take(self.table, index.ravel(), axis=0)
        bias = ops.reshape(bias, (positions, positions, self.num_heads))
        return ops.transpose(bias, (2, 0, 1))

    def attention_mask(self, height, width):
        """The summand of the scores for a map, `(windows, N, N)`; `None` if nothing is hidden."""
        window = self.window_size
        (rows, _, bottom), (columns, _, right) = self._cut(height), self._cut(width)
        are_known = isinstance(height, int) and isinstance(width, int)
        if are_known and (rows, columns) == (bottom, right):
            return None

        def regions(length, last):
            """0 before the last window, 1 in it, 2 from the start of the region to hide."""
            line = ops.arange(length, dtype="int32")
            return ops.cast(line >= length - window, "int32") + ops.cast(line >= last, "int32")

        # (H', 1) and (1, W') -> (H', W') -> (H' / w, w, W' / w, w) -> (windows, N)
        region = 3 * regions(rows, bottom)[:, None] + regions(columns, right)
        region = ops.reshape(region, (rows // window, window, columns // window, window))
        region = ops.reshape(ops.transpose(region, (0, 2, 1, 3)), (-1, window * window))
        return ops.where(region[:, :, None] == region[:, None, :], 0.0, HIDDEN)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or input_shape[-1] is None or input_shape[-1] % self.num_heads:
            raise ValueError(
                "`ShiftedWindowAttention` needs a map `(B, H, W, C)` with `C` a multiple of "
                f"{self.num_heads} heads. Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        height, width, channels = self.output.shape[1:]
        (rows, *_), (columns, *_) = self._cut(height), self._cut(width)
        positions, head_dim = self.window_size**2, channels // self.num_heads
        matrices = batch_size * rows * columns // positions * self.num_heads
        return [
            product(batch_size * rows * columns, self.qkv.kernel),
            ((positions, head_dim), (matrices, head_dim, positions)),
            ((positions, positions), (matrices, positions, head_dim)),
            product(batch_size * math.prod((height, width)), self.project.kernel),
        ]

    def get_config(self):
        config = {
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "shift_size": self.shift_size,
            "always_partition": self.always_partition,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "lora_rank": self.lora_rank,
        }
        sublayers = [self.qkv, self.project] if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}


def relative_position_index(window_size: int) -> np.ndarray:
    """The row of the bias table for each query and key, `(N, N)`; positions count row by row."""
    row, column = np.divmod(np.arange(window_size**2), window_size)
    down = row[:, None] - row + window_size - 1
    right = column[:, None] - column + window_size - 1
    return down * (2 * window_size - 1) + right


def _roll(x, step, axis):
    """Rolls `x` by `step` lines towards the start of `axis`."""
    if isinstance(step, int) and step in (0, x.shape[axis]):
        return x
    before = (slice(None),) * axis
    pieces = [x[(*before, slice(step, None))], x[(*before, slice(None, step))]]
    return ops.concatenate(pieces, axis=axis)
