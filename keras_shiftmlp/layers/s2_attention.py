"""The token mixing of S2-MLPv2: split attention over two shifted branches and one unshifted."""

import math
from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.dense import Dense, Product, product
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.split_attention import POOLINGS, Pooling, SplitAttention


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class S2Attention(keras.layers.Layer):
    """The token-mixing block of S2-MLPv2, without its normalisation and shortcut.

        v = x W_expand + b                              (B, H, W, 3C)
        X_1 = shift "hw" of v[..., :C]                  height first
        X_2 = shift "wh" of v[..., C:2C]                width first
        X_3 = v[..., 2C:]                               not shifted
        y = SplitAttention(X_1, X_2, X_3) W_project + b

    Args:
        split_attention_ratio: Hidden width of the split attention, as a fraction of `C`. The
            paper does not give it. 0.25 is the only simple ratio that gives the paper's parameter
            counts; most public code has 1.0.
        pooling: `"sum"` or `"mean"`, see `SplitAttention`.
        kernel_initializer: Initializer of all dense kernels.
        lora_rank: As for `keras.layers.Dense`, for the four dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`, `C` at least 4.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For fewer than 4 channels or an unknown pooling.

    Reference: [S2-MLPv2](https://arxiv.org/abs/2108.01072), section 4 and Figure 1.

    Example:

    >>> tuple(S2Attention()(keras.random.normal((2, 7, 5, 16))).shape)
    (2, 7, 5, 16)
    """

    def __init__(
        self,
        split_attention_ratio: float = 0.25,
        pooling: Pooling = "sum",
        kernel_initializer: Any = "glorot_uniform",
        lora_rank: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if split_attention_ratio <= 0:
            raise ValueError(
                "`split_attention_ratio` must be positive. "
                f"Received: `split_attention_ratio={split_attention_ratio!r}`"
            )
        if pooling not in POOLINGS:
            raise ValueError(f"`pooling` must be 'sum' or 'mean'. Received: `pooling={pooling!r}`")
        self.split_attention_ratio = split_attention_ratio
        self.pooling: Pooling = pooling
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.lora_rank = lora_rank

    def build(self, input_shape):
        channels = input_shape[-1]
        # Keras passes these two to a layer's own weights only, not to layers inside it.
        shared = dict(dtype=self.dtype_policy, trainable=self.trainable)
        self.expand = Dense(
            3 * channels,
            kernel_initializer=self.kernel_initializer,
            **shared,
            name="expand",
        )
        self.shift1 = SpatialShift(order="hw", **shared, name="shift1")
        self.shift2 = SpatialShift(order="wh", **shared, name="shift2")
        self.attention = SplitAttention(
            hidden_dim=max(1, int(self.split_attention_ratio * channels)),
            pooling=self.pooling,
            kernel_initializer=self.kernel_initializer,
            **shared,
            name="attention",
        )
        self.project = Dense(
            channels,
            kernel_initializer=self.kernel_initializer,
            **shared,
            name="project",
        )
        for shift in (self.shift1, self.shift2):
            shift.build(input_shape)
        for dense in (self.expand, self.project):
            dense.build(input_shape)
        self.attention.build([input_shape] * 3)
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank: int) -> None:
        """Freezes the dense kernels and adds an update of `rank`, as in `keras.layers.Dense`."""
        for dense in self._dense_layers():
            dense.enable_lora(rank)
        self.lora_rank = rank

    def _dense_layers(self):
        return [self.expand, self.project, self.attention.fc1, self.attention.fc2]

    def call(self, inputs):
        # (B, H, W, C) -> (B, H, W, 3C) -> 3 x (B, H, W, C)
        x1, x2, x3 = ops.split(self.expand(inputs), 3, axis=-1)
        return self.project(self.attention([self.shift1(x1), self.shift2(x2), x3]))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        rows = batch_size * math.prod(self.output.shape[1:3])
        dense = [product(rows, self.expand.kernel), product(rows, self.project.kernel)]
        return dense + self.attention.products(batch_size)

    def get_config(self):
        config = {
            "split_attention_ratio": self.split_attention_ratio,
            "pooling": self.pooling,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "lora_rank": self.lora_rank,
        }
        sublayers = self._dense_layers() if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}
