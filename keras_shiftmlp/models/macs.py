"""Counts the multiply-adds of a model from its built graph."""

import math

import keras


def count_macs(model: keras.Model) -> int:
    """Multiply-adds of the matrix products and convolutions, for one image.

    This is what most papers call FLOPs. Norms, activations, shifts and sums are not counted.

    Args:
        model: A functional model whose height and width are known.

    Raises:
        ValueError: Where a side of the input is unknown.

    Example:

    >>> image = keras.Input((224, 224, 3))
    >>> count_macs(keras.Model(image, keras.layers.Conv2D(96, 4, 4)(image)))
    14450688
    """
    if None in model.input_shape[1:]:
        raise ValueError(
            "The count depends on the size of the image. Build the model with a known "
            f"`input_shape`. Received: `model.input_shape={model.input_shape}`"
        )
    return sum(_layer_macs(layer) for layer in model.layers)


def _layer_macs(layer):
    if isinstance(layer, keras.Model):
        return count_macs(layer)
    if hasattr(layer, "count_macs"):
        return layer.count_macs(layer.output.shape)
    if isinstance(layer, keras.layers.EinsumDense):
        # Every kernel element meets each value of the axes that the kernel lacks, batch aside.
        inputs, kernel = layer.equation.split("->")[0].split(",")
        free = [size for axis, size in zip(inputs[1:], layer.input.shape[1:]) if axis not in kernel]
        return math.prod(layer.kernel.shape) * math.prod(free)
    if isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
        # Every kernel element is used once per output position.
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:-1])
    return 0
