"""The pixels and the layers that a picture of a model needs."""

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_shiftmlp.preprocessing import eval_transform


def pixels_of(model: keras.Model, image: Any) -> np.ndarray:
    """One image as the batch `(1, H, W, C)` of float32 that the model takes.

    Args:
        model: A model with one input.
        image: Pixels `(H, W, C)` in `[0, 255]` of the model's size, or the path of an image, which
            `eval_transform` resizes and crops.
    """
    if isinstance(image, (str, os.PathLike)):
        image = eval_transform(model)(image)
    image = np.asarray(image, "float32")
    wanted = model.input_shape[1:]
    if image.ndim != 3 or any(x not in (None, y) for x, y in zip(wanted, image.shape)):
        raise ValueError(
            f"`image` must be a path or pixels of shape {wanted}. "
            f"Received: `image.shape={image.shape}`"
        )
    return image[None]


def layer_of(model: keras.Model, name: str | None) -> keras.layers.Layer:
    """The layer called `name`; for `None` the last one whose output is a map `(B, H, W, C)`."""
    outputs = {layer.name: layer for layer in model.layers}
    maps = [layer for layer in model.layers if len(getattr(layer.output, "shape", ())) == 4]
    if name is None and maps:
        return maps[-1]
    if name not in outputs:
        raise ValueError(
            f"`layer` must be the name of a layer of the model, such as {list(outputs)[-1]!r}, and "
            f"a model without a feature map needs one. Received: `layer={name!r}`"
        )
    return outputs[name]


def chosen(layers: list, index: int, argument: str) -> Any:
    """`layers[index]`, with an error that names the argument."""
    if not -len(layers) <= index < len(layers):
        raise ValueError(
            f"`{argument}` must be from {-len(layers)} to {len(layers) - 1} for this model. "
            f"Received: `{argument}={index}`"
        )
    return layers[index]


def layers_with(
    model: keras.Model, test: Callable[[keras.layers.Layer], bool], kind: str
) -> list[keras.layers.Layer]:
    """The layers of the model that pass the test, in order; at least one."""
    found = [layer for layer in model.layers if test(layer)]
    if not found:
        raise ValueError(f"`model` must have {kind}. Received: `model.name={model.name!r}`")
    return found


def grid_of(model: keras.Model, tokens: int) -> tuple[int, int]:
    """Rows and columns of `tokens` tokens: those of the model's map with as many positions."""
    for layer in model.layers:
        shape = getattr(layer.output, "shape", ())
        if len(shape) == 4 and None not in shape[1:3] and shape[1] * shape[2] == tokens:
            return shape[1], shape[2]
    raise ValueError(f"`model` must have a map of {tokens} positions. Received: {model.name!r}")
