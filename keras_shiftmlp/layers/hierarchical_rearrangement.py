"""Hire-MLP's token mixing: MLPs over regions of rows and columns that are rolled between blocks."""

import math
from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.kernels.dense import Dense, Product, inner_sizes, product
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.split_attention import SplitAttention

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}  # PyTorch's defaults


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class HierarchicalRearrangement(keras.layers.Layer):
    """Mixes each region of `p` adjacent rows, and each of `p` adjacent columns, by an MLP.

    The width branch, on `x` of shape `(B, H, W, C)`:

        y = roll(x, shift, axis=W)                              cross-region rearrangement
        y = the first -W mod p columns of y, appended to y      circular padding, (B, H, W', C)
        y = reshape(y)                                          inner-region, (B, H, W' / p, p * C)
        y = ReLU(BatchNorm(y W_1)) W_2 + b_2                    C // 2 hidden channels
        w = roll(reshape(y) without the padding, -shift)        both are undone, (B, H, W, C)

    The height branch `h` does the same along the rows, with weights of its own. Then

        c = x W_c + b_c
        y = SplitAttention(h, w, c) W_o + b_o

    where the split attention pools by the mean and has biases. Position `k` of a region and channel
    `c` have index `k * C + c`.

    Args:
        region_size: Rows or columns `p` of a region.
        shift: Positions by which the map is rolled down and right. It may exceed the map.
        kernel_initializer: Initializer of all dense kernels; biases start at zero.
        lora_rank: As for `keras.layers.Dense`, for all dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`. `2 * H` and `2 * W` are at least `p`, so that the padding is
            not longer than the map.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For a region size below 1, a negative shift, or a map that is too small.

    Reference: [Hire-MLP](https://arxiv.org/abs/2108.13341), section 3; norms, padding and shifts as
    in the released code.

    Example:

    >>> tuple(HierarchicalRearrangement(3, 1)(keras.random.normal((2, 7, 5, 16))).shape)
    (2, 7, 5, 16)
    """

    def __init__(
        self,
        region_size: int = 2,
        shift: int = 0,
        kernel_initializer: Any = "glorot_uniform",
        lora_rank: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for argument, value, least in (("region_size", region_size, 1), ("shift", shift, 0)):
            if value < least:
                raise ValueError(
                    f"`{argument}` must be at least {least}. Received: `{argument}={value!r}`"
                )
        self.region_size = region_size
        self.shift = shift
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.lora_rank = lora_rank

    def build(self, input_shape):
        *_, channels = self.compute_output_shape(input_shape)
        # Keras passes `trainable` to a layer's own weights only, not to layers inside it.
        self.height_fc1, self.height_norm, self.height_fc2 = self._region_mlp("height", channels)
        self.width_fc1, self.width_norm, self.width_fc2 = self._region_mlp("width", channels)
        self.channel = self._dense(channels, channels, name="channel")
        self.attention = SplitAttention(
            pooling="mean",
            kernel_initializer=self.kernel_initializer,
            use_bias=True,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="attention",
        )
        self.attention.build([input_shape] * 3)
        self.project = self._dense(channels, channels, name="project")
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def _region_mlp(self, name, channels):
        """The two dense layers of a branch and the norm between them."""
        hidden_dim, size = max(1, channels // 2), self.region_size * channels
        fc1 = self._dense(size, hidden_dim, use_bias=False, name=f"{name}_fc1")
        norm = BatchNormalization(
            **BATCH_NORM, dtype=self.dtype_policy, trainable=self.trainable, name=f"{name}_norm"
        )
        norm.build((None, None, None, hidden_dim))
        return fc1, norm, self._dense(hidden_dim, size, name=f"{name}_fc2")

    def _dense(self, inputs, units, **kwargs: Any):
        layer = Dense(
            units,
            kernel_initializer=self.kernel_initializer,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            **kwargs,
        )
        layer.build((None, inputs))
        return layer

    def enable_lora(self, rank: int) -> None:
        """Freezes the norms and dense kernels and adds updates of `rank`, as in a Keras `Dense`."""
        self.height_norm.trainable = self.width_norm.trainable = False
        for dense in self._dense_layers():
            dense.enable_lora(rank)
        self.lora_rank = rank

    def _dense_layers(self):
        branches = [self.height_fc1, self.height_fc2, self.width_fc1, self.width_fc2]
        return [*branches, self.channel, self.attention.fc1, self.attention.fc2, self.project]

    def call(self, inputs, training=None):
        self.compute_output_shape(inputs.shape)  # the size may be known only now
        # The height branch is the width branch of the transposed map.
        h = ops.transpose(inputs, (0, 2, 1, 3))  # (B, H, W, C) -> (B, W, H, C)
        h = self._mixed(h, self.height_fc1, self.height_norm, self.height_fc2, training)
        h = ops.transpose(h, (0, 2, 1, 3))  # (B, W, H, C) -> (B, H, W, C)
        w = self._mixed(inputs, self.width_fc1, self.width_norm, self.width_fc2, training)
        return self.project(self.attention([h, w, self.channel(inputs)]))

    def _mixed(self, x, fc1, norm, fc2, training):
        """Mixes the regions of columns of `(B, H, W, C)`."""
        (height, width), channels = inner_sizes(x), x.shape[-1]
        # The dividend is positive: in ONNX, the remainder has the sign of the dividend.
        padding = (self.region_size - width % self.region_size) % self.region_size
        regions = (width + padding) // self.region_size
        if self.shift:
            x = ops.roll(x, self.shift, axis=2)
        if x.shape[2] is None or x.shape[2] % self.region_size:
            x = ops.concatenate([x, x[:, :, :padding]], axis=2)
        # (B, H, W', C) -> (B, H, G, p * C)
        x = ops.reshape(x, (-1, height, regions, self.region_size * channels))
        x = fc2(ops.relu(norm(fc1(x), training=training)))
        # (B, H, G, p * C) -> (B, H, W', C) -> (B, H, W, C)
        x = ops.reshape(x, (-1, height, width + padding, channels))[:, :, :width]
        return ops.roll(x, -self.shift, axis=2) if self.shift else x

    def compute_output_shape(self, input_shape):
        if any(side is not None and 2 * side < self.region_size for side in input_shape[1:3]):
            raise ValueError(
                f"Regions of {self.region_size} rows and columns need a map of at least "
                f"{math.ceil(self.region_size / 2)} on each side. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        _, height, width, _ = self.output.shape
        p, positions = self.region_size, batch_size * height * width
        across, along = (
            batch_size * math.ceil(height / p) * width,
            batch_size * height * math.ceil(width / p),
        )
        return [
            product(across, self.height_fc1.kernel),
            product(across, self.height_fc2.kernel),
            product(along, self.width_fc1.kernel),
            product(along, self.width_fc2.kernel),
            product(positions, self.channel.kernel),
            *self.attention.products(batch_size),
            product(positions, self.project.kernel),
        ]

    def get_config(self):
        config = {
            "region_size": self.region_size,
            "shift": self.shift,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "lora_rank": self.lora_rank,
        }
        sublayers = self._dense_layers() if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}
