"""Wave-MLP's token mixing: positions are waves, and their phases decide how they add up."""

import math
from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.kernels.dense import Dense, Product, product
from keras_shiftmlp.kernels.depthwise import DepthwiseConv2D, depthwise_conv
from keras_shiftmlp.kernels.initializers import initial, initializers
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.split_attention import SplitAttention

NORM_EPSILON = 1e-5
PHASE_CONVS = ("dense", "depthwise")
WINDOW = 7  # positions of a row or column that are mixed


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class PhaseAwareTokenMixing(keras.layers.Layer):
    """Unfolds each value into a wave of an amplitude and a phase, and mixes along rows and columns.

    The branch along the rows, on `x` of shape `(B, H, W, C)`:

        t = ReLU(BatchNorm(phase(x)))                   phase in radians, (B, H, W, C)
        a = x W_a                                       amplitude, (B, H, W, C)
        z = concat(a cos(t), a sin(t))                  (B, H, W, 2C)
        r[.., w, g] = sum over j = 0, 1 and u = -3 .. 3 of K[u, 2g + j] z[.., w + u, 2g + j]

    with zeros outside the map. Output `g` reads the neighbours `2g` and `2g + 1` of `z`: two
    cosines or two sines, not the cosine and the sine of one channel. The branch along the columns
    does the same with weights of its own and gives `s`. Then

        y = SplitAttention(r, s, x W_c) W_o + b_o

    where the split attention pools by the mean and has biases. All weights start uniformly within
    `1 / sqrt(fan_in)`, as in the released code.

    Args:
        phase_conv: `"dense"` for a dense layer with bias as `phase`, `"depthwise"` for a depthwise
            3 x 3 convolution without bias.
        lora_rank: As for `keras.layers.Dense`, for all dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For an unknown `phase_conv`.

    Reference: [Wave-MLP](https://arxiv.org/abs/2111.12294); norms, kernels and pairs of channels as
    in the released code.

    Example:

    >>> tuple(PhaseAwareTokenMixing()(keras.random.normal((2, 7, 5, 16))).shape)
    (2, 7, 5, 16)
    """

    is_slow_with_xla_on_cpu = True  # its depthwise convolutions

    def __init__(self, phase_conv: str = "dense", lora_rank: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        if phase_conv not in PHASE_CONVS:
            raise ValueError(
                "`phase_conv` must be 'dense' or 'depthwise'. "
                f"Received: `phase_conv={phase_conv!r}`"
            )
        self.phase_conv = phase_conv
        self.lora_rank = lora_rank

    def build(self, input_shape):
        channels = input_shape[-1]
        # Keras passes `trainable` to a layer's own weights only, not to layers inside it.
        self.row_phase, self.row_norm = self._phase("row", input_shape)
        self.row_amplitude = self._dense(channels, use_bias=False, name="row_amplitude")
        self.row_kernel = self._kernel("row_kernel", (1, WINDOW, 2 * channels, 1))
        self.column_phase, self.column_norm = self._phase("column", input_shape)
        self.column_amplitude = self._dense(channels, use_bias=False, name="column_amplitude")
        self.column_kernel = self._kernel("column_kernel", (WINDOW, 1, 2 * channels, 1))
        self.channel = self._dense(channels, use_bias=False, name="channel")
        self.attention = SplitAttention(
            pooling="mean",
            kernel_initializer=None,
            use_bias=True,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name="attention",
        )
        self.attention.build([input_shape] * 3)
        self.project = self._dense(channels, name="project")
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def _phase(self, name, input_shape):
        """The layer that estimates the phases, and its norm."""
        if self.phase_conv == "dense":
            phase = self._dense(input_shape[-1], name=f"{name}_phase")
        else:
            phase = DepthwiseConv2D(
                3, dtype=self.dtype_policy, trainable=self.trainable, name=f"{name}_phase"
            )
            phase.build(input_shape)
        norm = BatchNormalization(
            momentum=0.9,
            epsilon=NORM_EPSILON,
            dtype=self.dtype_policy,
            trainable=self.trainable,
            name=f"{name}_norm",
        )
        norm.build(input_shape)
        return phase, norm

    def _dense(self, channels, **kwargs: Any):
        layer = Dense(
            channels,
            **initializers(None, channels),
            dtype=self.dtype_policy,
            trainable=self.trainable,
            **kwargs,
        )
        layer.build((None, channels))
        return layer

    def _kernel(self, name, shape):
        limit = (2 * WINDOW) ** -0.5
        uniform = keras.initializers.RandomUniform(-limit, limit)
        return self.add_weight(shape, initial(uniform), name=name)

    def enable_lora(self, rank: int) -> None:
        """Freezes all but the biases and adds updates of `rank` to the dense layers."""
        self.row_norm.trainable = self.column_norm.trainable = False
        if self.phase_conv == "depthwise":
            self.row_phase.trainable = self.column_phase.trainable = False
        self.row_kernel.trainable = self.column_kernel.trainable = False
        for dense in self._dense_layers():
            dense.enable_lora(rank)
        self.lora_rank = rank

    def _dense_layers(self):
        phases = [self.row_phase, self.column_phase] if self.phase_conv == "dense" else []
        amplitudes = [self.row_amplitude, self.column_amplitude, self.channel]
        return [*phases, *amplitudes, self.attention.fc1, self.attention.fc2, self.project]

    def call(self, inputs, training=None):
        theta = ops.relu(self.row_norm(self.row_phase(inputs), training=training))
        rows = _mixed(self.row_amplitude(inputs), theta, self.row_kernel)
        theta = ops.relu(self.column_norm(self.column_phase(inputs), training=training))
        columns = _mixed(self.column_amplitude(inputs), theta, self.column_kernel)
        return self.project(self.attention([rows, columns, self.channel(inputs)]))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        positions = batch_size * math.prod(self.output.shape[1:3])
        pooled = (self.attention.fc1, self.attention.fc2)
        dense = [layer for layer in self._dense_layers() if layer not in pooled]
        return [
            *(product(positions, layer.kernel) for layer in dense),
            *self.attention.products(batch_size),
        ]

    def depthwise_macs(self) -> int:
        channels = self.output.shape[-1]
        taps = 2 * 2 * WINDOW + (2 * 9 if self.phase_conv == "depthwise" else 0)
        return taps * channels * math.prod(self.output.shape[1:3])

    def get_config(self):
        config = {"phase_conv": self.phase_conv, "lora_rank": self.lora_rank}
        sublayers = self._dense_layers() if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}


def _mixed(amplitude, phase, kernel):
    """Adds up the waves of neighbouring positions and of pairs of channels."""
    wave = [amplitude * ops.cos(phase), amplitude * ops.sin(phase)]
    # 2 x (B, H, W, C) -> (B, H, W, 2C)
    y = depthwise_conv(ops.concatenate(wave, axis=-1), ops.convert_to_tensor(kernel))
    return y[..., 0::2] + y[..., 1::2]  # (B, H, W, 2C) -> (B, H, W, C)
