"""A dense layer over the channels."""

import platform

import keras
from keras import ops


def is_faster_as_convolution(x) -> bool:
    """Whether PyTorch multiplies `x` by a kernel faster if it is told to convolve.

    Its float32 matrix products on a CPU come from MKL, its convolutions from oneDNN, which is
    twice as fast on AMD. Where both are the same library, or neither is there, nothing is won.
    """
    return (
        keras.backend.backend() == "torch"
        and platform.machine() in ("x86_64", "AMD64")
        and keras.backend.standardize_dtype(x.dtype) == "float32"
        and x.device.type == "cpu"
    )


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class Dense(keras.layers.Dense):
    """`keras.layers.Dense`, multiplied in the form that each backend computes fastest.

    XLA multiplies matrices at full speed, but the gradient of a kernel that met a map
    `(B, H, W, C)` is a product over three axes, for which it has slower code on a CPU: on JAX all
    positions go into the rows of one matrix. PyTorch convolves by 1 x 1 on a CPU. It bears the name
    of Keras's layer since the paths inside `.weights.h5` files come from class names.

    Call arguments:
        inputs: Tensor `(..., C)`.

    Returns:
        Tensor `(..., units)`.

    Example:

    >>> tuple(Dense(24)(keras.ops.ones((2, 7, 7, 16))).shape)
    (2, 7, 7, 24)
    """

    def call(self, inputs, training=None):
        x = inputs
        if keras.backend.backend() == "jax":
            x = ops.reshape(x, (-1, x.shape[-1]))  # (..., C) -> (N, C)
        if x.ndim > 2 and is_faster_as_convolution(x):
            # Transposed without a copy: the convolution takes (1, C, 1, N) with channels last.
            x = ops.transpose(ops.reshape(x, (1, 1, -1, x.shape[-1])), (0, 3, 1, 2))
            # (C, units) -> (1, 1, C, units)
            y = ops.conv(x, self.kernel[None, None], data_format="channels_first")
            y = ops.transpose(y, (0, 2, 3, 1))  # (1, units, 1, N) -> (1, 1, N, units)
        else:
            y = ops.matmul(x, self.kernel)
        if self.bias is not None:
            # In place where tensors can change: nothing else holds the product.
            y += ops.convert_to_tensor(self.bias)
        if self.activation is not None:
            y = self.activation(y)
        # (N, units) -> (..., units)
        return ops.reshape(y, (*ops.shape(inputs)[:-1], self.units)) if x is not inputs else y

    def quantize(self, mode=None, type_check=True, config=None):
        # Keras's check is for subclasses with other weights.
        super().quantize(mode, type_check=False, config=config)
