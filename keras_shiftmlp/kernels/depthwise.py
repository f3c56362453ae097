"""Depthwise convolution in the form that each backend computes fastest."""

import itertools

import keras
from keras import ops

from keras_shiftmlp.kernels.device import has_only_cpus
from keras_shiftmlp.kernels.initializers import initial


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):
    """`keras.layers.DepthwiseConv2D` with stride 1 and zeros at the border.

    Its kernel starts uniformly within `1 / k`, PyTorch's default, and is named like that of its
    parent, see `Dense`.

    Args:
        kernel_size: Odd side `k` of the kernel.
        use_bias: Whether each channel has a bias, which starts at zero.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`.

    Returns:
        Tensor `(B, H, W, C)`.

    Example:

    >>> tuple(DepthwiseConv2D(3)(keras.ops.ones((2, 7, 7, 16))).shape)
    (2, 7, 7, 16)
    """

    is_slow_with_xla_on_cpu = True

    def __init__(self, kernel_size, use_bias=False, **kwargs):
        side = keras.tree.flatten(kernel_size)[0]
        kwargs |= {"padding": "same", "data_format": "channels_last", "use_bias": use_bias}
        kwargs.setdefault(
            "depthwise_initializer", keras.initializers.RandomUniform(-1 / side, 1 / side)
        )
        super().__init__(kernel_size, **kwargs)

    def build(self, input_shape):
        own = self.depthwise_initializer
        self.depthwise_initializer = initial(own)
        super().build(input_shape)
        self.depthwise_initializer = own

    def call(self, inputs):
        y = depthwise_conv(inputs, ops.convert_to_tensor(self.kernel))
        return y + self.bias if self.use_bias else y


def depthwise_conv(x, kernel):
    """A depthwise convolution of stride 1, padded with zeros.

    `y[b, h, w, c] = sum over i, j of kernel[i, j, c] * x[b, h + i - p, w + j - q, c]` with
    `p = (k - 1) / 2` and `q = (m - 1) / 2`. XLA has no fast code for it on a CPU. There, JAX
    computes the sum tap by tap: XLA fuses the taps into one loop, which is four to twenty times as
    fast.

    Args:
        x: Tensor `(B, H, W, C)`.
        kernel: Tensor `(k, m, C, 1)` with odd `k` and `m`.

    Returns:
        Tensor `(B, H, W, C)`.
    """
    if tuple(kernel.shape[:2]) == (1, 1):
        return x * ops.reshape(kernel, (-1,))  # (1, 1, C, 1) -> (C,)
    if keras.backend.backend() == "jax":
        if has_only_cpus():
            return ops.custom_gradient(_written_out)(x, kernel)
        if 1 in kernel.shape[:2]:
            # On a GPU, cuDNN is fast for square kernels only.
            return _sum_of_shifted(x, kernel)
    if keras.backend.backend() == "torch":
        # Transposed without a copy, where Keras (3.15) would copy maps with channels last twice.
        x = ops.transpose(x, (0, 3, 1, 2))  # (B, H, W, C) -> (B, C, H, W)
        y = ops.depthwise_conv(x, kernel, padding="same", data_format="channels_first")
        return ops.transpose(y, (0, 2, 3, 1))  # (B, C, H, W) -> (B, H, W, C)
    return ops.depthwise_conv(x, kernel, padding="same", data_format="channels_last")


def _written_out(x, kernel):
    def gradient(upstream):
        flipped = ops.flip(kernel, axis=(0, 1))
        return _sum_of_shifted(upstream, flipped), _kernel_gradient(x, upstream, kernel)

    return _sum_of_shifted(x, kernel), gradient


def _sum_of_shifted(x, kernel):
    k, m = kernel.shape[:2]
    padded = _padded(x, k, m)
    scales = ops.swapaxes(ops.cast(kernel, padded.dtype), 2, 3)  # (k, m, C, 1) -> (k, m, 1, C)
    total = 0.0
    for i, j in itertools.product(range(k), range(m)):
        # `ops.slice` takes dynamic offsets, so eager JAX compiles one program for all taps.
        shifted = ops.slice(padded, (0, i, j, 0), x.shape)
        total += shifted * ops.slice(scales, (i, j, 0, 0), (1, 1, 1, x.shape[3]))
    return ops.cast(total, x.dtype)


def _kernel_gradient(x, upstream, kernel):
    """The gradient of the kernel: one sum over all positions for each tap."""
    (k, m, channels, _), (height, width) = kernel.shape, x.shape[1:3]
    padded, row_numbers = _padded(x, k, m), ops.arange(k)

    def add_image(total, pair):
        # Image by image, so that the operands of the sums stay in the cache.
        pixels, gradients = pair

        def row(_, i):
            rows = ops.slice(pixels, (i, 0, 0), (height, pixels.shape[1], channels))
            found = [ops.sum(rows[:, j : j + width] * gradients, axis=(0, 1)) for j in range(m)]
            return None, ops.stack(found)

        return total + ops.scan(row, None, row_numbers)[1], None

    start = ops.zeros((k, m, channels), padded.dtype)
    total, _ = ops.scan(add_image, start, (padded, ops.cast(upstream, padded.dtype)))
    return ops.cast(total[..., None], kernel.dtype)  # (k, m, C) -> (k, m, C, 1)


def _padded(x, k, m):
    """`x` padded with zeros, in float32 or more, the precision in which a convolution sums."""
    p, q, dtype = k // 2, m // 2, keras.backend.result_type(x.dtype, "float32")
    return ops.pad(ops.cast(x, dtype), ((0, 0), (p, p), (q, q), (0, 0)))
