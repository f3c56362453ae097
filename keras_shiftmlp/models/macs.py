"""The parameters and the work of a model, counted from its built graph."""

import collections
import math

import keras

from keras_shiftmlp.kernels.dense import Product, product


def count_parameters(model: keras.Model) -> int:
    """The numbers that training learns, as papers count them.

    `Model.count_params()` counts the moving statistics of BatchNormalization too.

    Example:

    >>> image = keras.Input((4, 4, 3))
    >>> count_parameters(keras.Model(image, keras.layers.BatchNormalization()(image)))
    6
    """
    learned = (x for x in model.weights if not x.path.rpartition("/")[2].startswith("moving_"))
    return sum(math.prod(x.shape) for x in learned)


def count_macs(model: keras.Model) -> int:
    """Multiply-adds of the matrix products and convolutions, for one image.

    Most papers call this number FLOPs. Norms, activations, shifts and sums are not counted.

    Args:
        model: A functional model with a known height and width.

    Raises:
        ValueError: If a side of the input is unknown.

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
    products = sum(
        count * math.prod(left) * right[-1] * math.prod(right[:-2])
        for (left, right), count in matrix_products(model, batch_size=1).items()
    )
    return products + sum(depthwise_macs(layer) for layer in _layers(model))


def matrix_products(model: keras.Model, batch_size: int) -> collections.Counter[Product]:
    """The matrix products of a forward pass: how often each pair of operands' shapes occurs.

    Depthwise convolutions, norms, shifts and sums are not among them.

    Args:
        model: A functional model with a known height and width.
        batch_size: Images per batch.

    Example:

    >>> from keras_shiftmlp import S2MLP
    >>> model = S2MLP(patch_sizes=(8,), dims=(16,), depths=(1,), input_shape=(32, 32, 3), classes=5)
    >>> matrix_products(model, 2)[(32, 16), (16, 64)]  # 2 images of 16 patches
    1
    """
    found = collections.Counter()
    for layer in _layers(model):
        if hasattr(layer, "products"):
            found.update(layer.products(batch_size))
        elif isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D)):
            # Every kernel element is used once per output position.
            rows = batch_size * math.prod(layer.output.shape[1:-1])
            found[product(rows, layer.kernel)] += 1
    return found


def depthwise_macs(layer: keras.layers.Layer) -> int:
    """Multiply-adds of the layer's depthwise convolutions, for one image."""
    if hasattr(layer, "depthwise_macs"):
        return layer.depthwise_macs()
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
    return 0


def _layers(model):
    """The layers of a model and of the models inside it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer
