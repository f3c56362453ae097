"""Effective receptive fields: what one output position sees of the image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_shiftmlp.layers import names
from keras_shiftmlp.visualization._figure import SKY, hide_ticks, saved, subplots
from keras_shiftmlp.visualization._gradients import gradient
from keras_shiftmlp.visualization._models import chosen, grid_of, layer_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOOR = 1e-3  # the smallest share of the maximum that the pictures show


def effective_receptive_field(
    model: keras.Model,
    layer: str | None = None,
    images: Any = None,
    position: tuple[int, int] | None = None,
    samples: int = 8,
    seed: int = 0,
) -> np.ndarray:
    """How strongly each pixel moves the output at one position, from gradients.

    The result at pixel `p` is the root mean square over the images of `v . dy/dx_p`, summed over
    the colours. `y` are the channels at the position, and `v` is a random direction, another one
    for each image. So it estimates the norm of the derivative of all channels.

    Args:
        model: A functional model with inputs `(B, H, W, C)`.
        layer: Name of the layer whose output is looked at: a map `(B, h, w, C)` or tokens
            `(B, S, C)`. `None` is the last map.
        images: Pixels `(B, H, W, C)` in `[0, 255]`. `None` draws `samples` images of noise.
        position: Row and column of the output. `None` is the centre.
        samples: Number of images of noise. More make the estimate smoother.
        seed: Seed of the noise and the directions.

    Returns:
        Array `(H, W)`, at least 0.

    Raises:
        ValueError: For an unknown layer or a position outside the map; without `images` if the
            model leaves height or width open.
        RuntimeError: On NumPy and OpenVINO, which have no gradients.

    Reference: [Understanding the Effective Receptive Field](https://arxiv.org/abs/1701.04128).

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(32, 48, 3))
    >>> if keras.backend.backend() in ("jax", "tensorflow", "torch"):
    ...     assert effective_receptive_field(model, samples=1).shape == (32, 48)
    """
    rng = np.random.default_rng(seed)
    if images is None:
        if None in model.input_shape[1:]:
            raise ValueError(
                "A model of open image size needs `images`. "
                f"Received: `images=None`, `model.input_shape={model.input_shape}`"
            )
        images = rng.uniform(0, 255, (samples, *model.input_shape[1:]))
    images = np.asarray(images, "float32")
    output = layer_of(model, layer).output
    height, width = _grid(model, output, images.shape[1:3])
    row, column = (height // 2, width // 2) if position is None else position
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"`position` must lie in the {height} x {width} map. Received: `position={position}`"
        )
    channels = output.shape[-1]
    cotangents = np.zeros((len(images), height, width, channels), "float32")
    cotangents[:, row, column] = rng.standard_normal((len(images), channels))
    if len(output.shape) == 3:
        cotangents = cotangents.reshape(len(images), -1, channels)  # (B, S, C)
    slopes = gradient(keras.Model(model.input, output), images, cotangents)
    return np.sqrt(np.mean(np.sum(np.square(slopes), axis=-1), axis=0))


def plot_receptive_fields(
    models: dict[str, keras.Model],
    blocks: Sequence[int] = (0, -1),
    images: Any = None,
    samples: int = 8,
    seed: int = 0,
    columns: int | None = None,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """What the output in the centre sees of the image: models side by side, one row per depth.

    The colours are logarithmic, as shares of the largest value of each panel. A frame marks the
    patch of the output position.

    Args:
        models: `ImageModel`s by title.
        blocks: After which block, as list indices: 0 is after the first one, -1 after the last.
        images: As for `effective_receptive_field`, for all models.
        samples: As for `effective_receptive_field`.
        seed: As for `effective_receptive_field`.
        columns: Panels per row. `None` makes it the number of models.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure, with one axis per panel, first all models after the first of `blocks`, and the
        axis of the colour bar.

    Raises:
        ValueError: Without models or blocks, for a model that has no such block, and as for
            `effective_receptive_field`.
        RuntimeError: On NumPy and OpenVINO, which have no gradients.
        ImportError: Without Matplotlib.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(16, 24, 3))
    >>> if keras.backend.backend() in ("jax", "tensorflow", "torch"):
    ...     figure = plot_receptive_fields({"S2-MLPv2": model}, blocks=(0,), samples=1)
    ...     assert figure.axes[0].images[0].get_array().shape == (16, 24)
    """
    if not models or not blocks:
        raise ValueError(
            "`models` and `blocks` must not be empty. "
            f"Received: `models={list(models)}`, `blocks={list(blocks)}`"
        )
    ends = {title: _block_outputs(model) for title, model in models.items()}
    for blocks_of_model in ends.values():
        for block in blocks:
            chosen(blocks_of_model, block, "blocks")
    panels = [(title, block) for block in blocks for title in models]
    columns = columns or len(models)
    rows = -(-len(panels) // columns)
    figure, axes = subplots(rows, columns, figsize=(2.3 * columns + 0.8, 2.6 * rows))
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.patches import Rectangle

    colors = ScalarMappable(LogNorm(FLOOR, 1), "magma")
    for axis, (title, block) in zip(axes.flat, panels):
        model = models[title]
        layer = ends[title][block]
        field = effective_receptive_field(model, layer, images, None, samples, seed)
        field /= field.max() or 1
        axis.imshow(np.maximum(field, FLOOR), norm=colors.norm, cmap=colors.cmap)
        hide_ticks(axis)
        height, width = _grid(model, model.get_layer(layer).output, field.shape)
        # Of the output position: its corner, width and height in pixels.
        patch_height, patch_width = field.shape[0] / height, field.shape[1] / width
        corner = (width // 2 * patch_width - 0.5, height // 2 * patch_height - 0.5)
        axis.add_patch(Rectangle(corner, patch_width, patch_height, fill=False, edgecolor=SKY))
        number = block % len(ends[title]) + 1
        axis.set_title(f"{title}\nafter block {number}", fontsize=10)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    bar = figure.colorbar(colors, ax=list(figure.axes), shrink=0.8)
    bar.ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    bar.set_label("gradient, share of the largest")
    return saved(figure, path)


def _grid(model: keras.Model, output: Any, image_size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of an output of the model for images of this size."""
    if len(output.shape) == 3:
        return grid_of(model, output.shape[1])
    part = keras.Model(model.input, output)
    return part.compute_output_shape((1, *image_size, model.input_shape[-1]))[1:3]


def _block_outputs(model: keras.Model) -> list[str]:
    """The name of the last layer of each block."""
    ends = {}
    for layer in model.layers:
        group = names.GROUP.match(layer.name)
        if group and names.BLOCK in group[0]:
            ends[group[0]] = layer.name
    return list(ends.values())
