"""What MS-MLP's mix-shift reads, and its learned kernels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_shiftmlp.layers.mix_shift import MixShift
from keras_shiftmlp.visualization._figure import (
    BLACK,
    BLUE,
    ORANGE,
    VERMILION,
    hide_ticks,
    saved,
    subplots,
)
from keras_shiftmlp.visualization._models import chosen, layers_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_mix_shift(
    kernel_sizes: Sequence[int] = (1, 1, 3, 5, 7),
    shifts: Sequence[int] = (-2, -1, 0, 1, 2),
    shape: tuple[int, int] = (13, 13),
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Which positions each channel group of `MixShift` reads for the output in the centre.

    Args:
        kernel_sizes: As for `MixShift`.
        shifts: As for `MixShift`.
        shape: Rows and columns of the map.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure, with one axis per group and one for all groups. Its images hold 0 for a position
        that is not read, 1 for one that the horizontal branch reads, 2 for the vertical, 3 for
        both.

    Raises:
        ValueError: For an even kernel size or lists of different length.
        ImportError: Without Matplotlib.

    Example:

    >>> plot_mix_shift((1,), (1,), shape=(3, 3)).axes[0].images[0].get_array().astype(int).tolist()
    [[0, 2, 0], [1, 0, 0], [0, 0, 0]]
    """
    groups = len(kernel_sizes)
    layer = MixShift(kernel_sizes, shifts)
    layer.build((None, *shape, groups))
    # One image for each position: only this position is one.
    impulses = np.eye(shape[0] * shape[1], dtype="float32").reshape(-1, *shape, 1)
    impulses = np.repeat(impulses, groups, axis=-1)
    row, column = shape[0] // 2, shape[1] // 2
    reads = np.zeros((groups, *shape))
    for branch, value in (("horizontal", 1), ("vertical", 2)):
        for weight in layer.weights:
            weight.assign(np.full(weight.shape, branch in weight.name and "kernel" in weight.name))
        y = keras.ops.convert_to_numpy(layer(impulses))[:, row, column]  # (H * W, groups)
        reads += value * (y.T.reshape(groups, *shape) > 0.5)
    panels = [*reads, np.bitwise_or.reduce(reads.astype(int), axis=0)]
    titles = [f"{k} × {k}, shift {_signed(d)}" for k, d in zip(kernel_sizes, shifts)] + [
        "all groups"
    ]
    figsize = (1.7 * len(panels), 1.7 * shape[0] / shape[1] + 0.8)
    figure, [axes] = subplots(1, len(panels), figsize=figsize)
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    colors = ListedColormap(["#f2f2f2", BLUE, ORANGE, BLACK])
    for axis, panel, title in zip(axes, panels, titles):
        axis.imshow(panel, cmap=colors, vmin=-0.5, vmax=3.5)
        axis.set_xticks(np.arange(shape[1] + 1) - 0.5, [])
        axis.set_yticks(np.arange(shape[0] + 1) - 0.5, [])
        axis.grid(color="white", linewidth=0.5)
        axis.tick_params(length=0)
        axis.plot(column, row, "s", markersize=6, markerfacecolor="none", color=VERMILION)
        axis.set_title(title, fontsize=9)
    marks = [BLUE, ORANGE, BLACK]
    names = ["horizontal branch", "vertical branch", "both"]
    handles = [Patch(color=color, label=name) for color, name in zip(marks, names)]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return saved(figure, path)


def plot_mix_shift_kernels(
    model: keras.Model,
    block: int = 0,
    channels: int = 6,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """The learned kernels of one block of MS-MLP, where they lie around the output position.

    A row for each channel group, a column for each of its first channels, in both branches. The
    kernel is drawn at its distance from the output position, which a frame marks. The colours of a
    row go from minus to plus its largest weight.

    Args:
        model: A model with `MixShift` layers.
        block: Which of these layers, as a list index: -1 is the last.
        channels: Channels per group.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure. Its images hold the weights, NaN outside the kernel.

    Raises:
        ValueError: For a model without `MixShift`, or without this block.
        ImportError: Without Matplotlib.

    Example:

    >>> from keras_shiftmlp import MSMLP
    >>> model = MSMLP(dims=(10,), depths=(1,), kernel_sizes=((1, 1, 3, 5, 7),),
    ...               input_shape=(32, 32, 3), classes=5)
    >>> len(plot_mix_shift_kernels(model, channels=2).axes)  # 5 groups, 2 branches
    20
    """
    layers = layers_with(model, lambda x: isinstance(x, MixShift), "MixShift layers")
    layer = chosen(layers, block, "block")
    reach = max(k // 2 + abs(d) for k, d in zip(layer.kernel_sizes, layer.shifts))
    channels = min(channels, *layer.group_sizes)
    groups = len(layer.kernel_sizes)
    figure, axes = subplots(
        groups, 2 * channels, figsize=(1.6 * channels + 0.8, 0.85 * groups + 0.7)
    )
    for g, (k, d) in enumerate(zip(layer.kernel_sizes, layer.shifts)):
        kernels = [keras.ops.convert_to_numpy(b[g][0]) for b in (layer.horizontal, layer.vertical)]
        limit = max(np.abs(kernel).max() for kernel in kernels)
        for branch, kernel in enumerate(kernels):
            for channel in range(channels):
                # A roll by `d` moves the content to the right, so the kernel reads to the left.
                window = np.full((2 * reach + 1, 2 * reach + 1), np.nan)
                top, left = reach - k // 2, reach - k // 2
                top, left = (top, left - d) if branch == 0 else (top - d, left)
                window[top : top + k, left : left + k] = kernel[:, :, channel, 0]
                axis = axes[g, branch * channels + channel]
                axis.imshow(window, cmap="RdBu_r", vmin=-limit, vmax=limit)
                axis.plot(reach, reach, "s", markersize=4, markerfacecolor="none", color=BLACK)
                axis.set_facecolor("#e6e6e6")
                hide_ticks(axis)
        name = f"{k} × {k}\nshift {_signed(d)}"
        axes[g, 0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    axes[0, 0].set_title("horizontal branch", fontsize=9, loc="left")
    axes[0, channels].set_title("vertical branch", fontsize=9, loc="left")
    figure.suptitle(f"{model.name}, {layer.name}", fontsize=10)
    return saved(figure, path)


def _signed(number: int) -> str:
    return f"{number:+d}".replace("-", "−") if number else "0"
