"""Dense and convolutional layers in the form that each backend computes fastest."""

import math

import keras
from keras import ops

from keras_shiftmlp.kernels.device import is_faster_as_convolution
from keras_shiftmlp.kernels.initializers import DrawnWeights

# A matrix product as the shapes of its two operands.
Product = tuple[tuple[int, ...], tuple[int, ...]]


def inner_sizes(x) -> tuple:
    """The sizes between the batch and the channels; tensors if the graph leaves one open."""
    sizes = tuple(x.shape[1:-1])
    # `ops.shape` adds operations to a graph of TensorFlow, even if no one reads them.
    return ops.shape(x)[1:-1] if None in sizes else sizes


def product(rows: int, kernel) -> Product:
    """The product of `rows` vectors with a kernel `(..., units)`."""
    inputs = math.prod(kernel.shape[:-1])
    return (rows, inputs), (inputs, kernel.shape[-1])


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class Dense(DrawnWeights, keras.layers.Dense):
    """`keras.layers.Dense`, multiplied in the form that each backend computes fastest.

    On JAX and TensorFlow all positions become the rows of one matrix. XLA multiplies matrices at
    full speed, but on a CPU its code for the gradient of a kernel that was applied to a map
    `(B, H, W, C)`, a product over three axes, is slow. TensorFlow would add about twenty operations
    to its graph for a product over three axes. PyTorch computes a 1 x 1 convolution on a CPU. Named
    `Dense` like its parent because `.weights.h5` paths are derived from class names.

    Call arguments:
        inputs: Tensor `(..., C)`.

    Returns:
        Tensor `(..., units)`.

    Example:

    >>> tuple(Dense(24)(keras.ops.ones((2, 7, 7, 16))).shape)
    (2, 7, 7, 24)
    """

    def call(self, inputs, training=None):
        x, backend = inputs, keras.backend.backend()
        if inputs.ndim > 2 and backend in ("jax", "tensorflow"):
            x = ops.reshape(inputs, (-1, inputs.shape[-1]))  # (..., C) -> (N, C)
        if x.ndim > 2 and is_faster_as_convolution(x):
            # Transposed without a copy: the convolution takes (1, C, 1, N) with channels last.
            x = ops.transpose(ops.reshape(x, (1, 1, -1, x.shape[-1])), (0, 3, 1, 2))
            # (C, units) -> (1, 1, C, units)
            y = ops.conv(x, self.kernel[None, None], data_format="channels_first")
            y = ops.transpose(y, (0, 2, 3, 1))  # (1, units, 1, N) -> (1, 1, N, units)
        else:
            y = ops.matmul(x, self.kernel)
        if self.bias is not None and backend == "tensorflow":
            y = ops.add(y, self.bias)  # a `BiasAdd`, which TensorFlow fuses with the product
        elif self.bias is not None:
            # In place on PyTorch: no other tensor refers to the product.
            y += ops.convert_to_tensor(self.bias)
        if self.activation is not None:
            y = self.activation(y)
        # (N, units) -> (..., units)
        return y if x is inputs else ops.reshape(y, (-1, *inner_sizes(inputs), self.units))

    def quantize(self, mode=None, type_check=True, config=None):
        # Keras's type check guards against subclasses that have other weights.
        super().quantize(mode, type_check=False, config=config)


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class Conv2D(DrawnWeights, keras.layers.Conv2D):
    """`keras.layers.Conv2D` whose weights NumPy draws; named like its parent, see `Dense`."""
