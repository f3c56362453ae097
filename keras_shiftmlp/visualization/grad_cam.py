"""Grad-CAM: the parts of an image that speak for a class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_shiftmlp.layers import names
from keras_shiftmlp.visualization._figure import saved, show_image, subplots
from keras_shiftmlp.visualization._gradients import gradient
from keras_shiftmlp.visualization._models import grid_of, layer_of, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grad_cam(
    model: keras.Model, image: Any, class_index: int | None = None, layer: str | None = None
) -> np.ndarray:
    """How much each position of a feature map speaks for a class.

    `max(0, sum over c of a_c A_c)`, where `A` is the map and `a_c` is the mean over its positions
    of the derivative of the class's logit by `A_c`.

    Args:
        model: A functional model that ends in the dense layer `predictions`.
        image: Pixels `(H, W, C)` in `[0, 255]` of the model's size, or the path of an image, which
            `eval_transform` resizes and crops.
        class_index: The class. `None` is the most probable one.
        layer: Name of the layer with the map `(B, h, w, C)` or the tokens `(B, S, C)`. `None` is
            the last map.

    Returns:
        Array `(h, w)` in logits, at least 0. To draw it over the image, stretch it to `(H, W)`.

    Raises:
        ValueError: For an image of another size, an unknown class or layer, or a model without
            classifier.
        RuntimeError: On NumPy and OpenVINO, which have no gradients.

    Reference: [Grad-CAM](https://arxiv.org/abs/1610.02391).

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(16, 24, 3))
    >>> if keras.backend.backend() in ("jax", "tensorflow", "torch"):
    ...     assert grad_cam(model, np.zeros((16, 24, 3)), class_index=7).shape == (4, 6)
    """
    head = _head(model)
    pixels, source = pixels_of(model, image), layer_of(model, layer)
    if class_index is None:
        class_index = int(np.argmax(model.predict(pixels, verbose=0)))
    classes = head.output.shape[-1]
    if not 0 <= class_index < classes:
        raise ValueError(
            f"`class_index` must be from 0 to {classes - 1}. Received: `class_index={class_index}`"
        )
    # The logit is the product of the features with a column of the kernel. The softmax is left out:
    # its slope vanishes for a class that is certain.
    column = keras.ops.convert_to_numpy(head.kernel)[None, :, class_index].astype("float32")
    slopes = gradient(keras.Model(model.input, head.input), pixels, column, source.name)[0]
    features = keras.Model(model.input, source.output).predict(pixels, verbose=0)[0]
    if features.ndim == 2:  # (S, C) -> (h, w, C)
        grid = grid_of(model, len(features))
        slopes, features = slopes.reshape(*grid, -1), features.reshape(*grid, -1)
    return np.maximum(0, features.astype("float32") @ slopes.mean(axis=(0, 1)))


def plot_grad_cam(
    model: keras.Model,
    image: Any,
    classes: Sequence[int] | int = 3,
    layer: str | None = None,
    class_names: Sequence[str] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """The image, and beside it the parts that speak for each class.

    Bright parts speak for the class. Each panel is scaled to its own maximum.

    Args:
        model: As for `grad_cam`.
        image: As for `grad_cam`.
        classes: The indices of the classes, or how many of the most probable ones.
        layer: As for `grad_cam`.
        class_names: One name per class. `None` takes `model.class_names`, or else the indices.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure, with one axis for the image and one per class. The last image of an axis holds
        the map `(h, w)`, between 0 and 1.

    Raises:
        ValueError: As for `grad_cam`.
        RuntimeError: On NumPy and OpenVINO, which have no gradients.
        ImportError: Without Matplotlib.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(16, 24, 3))
    >>> if keras.backend.backend() in ("jax", "tensorflow", "torch"):
    ...     figure = plot_grad_cam(model, np.zeros((16, 24, 3)), classes=[7])
    """
    _head(model)
    pixels = pixels_of(model, image)[0]
    scores = model.predict(pixels[None], verbose=0)[0]
    best = np.argsort(-scores, kind="stable").tolist()
    drawn = best[:classes] if isinstance(classes, int) else list(classes)
    class_names = class_names or getattr(model, "class_names", None)
    height, width = pixels.shape[:2]
    columns = 1 + len(drawn)
    figsize = (2.2 * columns, 2.2 * height / width + 0.4)
    figure, [axes] = subplots(1, columns, figsize=figsize)
    for axis in axes:
        show_image(axis, pixels)
    axes[0].set_title("image", fontsize=10)
    for axis, index in zip(axes[1:], drawn):
        cam = grad_cam(model, pixels, index, layer)
        cam /= cam.max() or 1
        # Half a pixel further than the first and last centres, as for the image.
        extent = (-0.5, width - 0.5, height - 0.5, -0.5)
        axis.imshow(cam, cmap="inferno", vmin=0, vmax=1, alpha=0.65, extent=extent,
                    interpolation="bilinear")  # fmt: skip
        name = class_names[index] if class_names else f"class {index}"
        axis.set_title(f"{name} ({scores[index]:.0%})", fontsize=10)
    return saved(figure, path)


def _head(model: keras.Model) -> keras.layers.Layer:
    if model.layers[-1].name != names.HEAD:
        raise ValueError(
            f"`model` must end in a dense layer called {names.HEAD!r}. "
            f"Received: `model.layers[-1].name={model.layers[-1].name!r}`"
        )
    return model.layers[-1]
