"""What a spatial shift does to a map, on small grids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import keras
import numpy as np

from keras_shiftmlp.layers.spatial_shift import SETTINGS, SpatialShift
from keras_shiftmlp.visualization._figure import hide_ticks, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# By the step (rows down, columns right).
ARROWS = {
    (1, 0): "↓", (-1, 0): "↑", (0, 1): "→", (0, -1): "←",
    (1, 1): "↘", (1, -1): "↙", (-1, 1): "↗", (-1, -1): "↖",
}  # fmt: skip


def plot_spatial_shift(
    settings: Sequence[str] = tuple(SETTINGS),
    orders: Sequence[Literal["hw", "wh"]] = ("hw",),
    shape: tuple[int, int] = (3, 4),
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """Where `SpatialShift` moves the content of each channel group.

    The first grid is the input, with a letter and a colour for each position. The others are the
    output of one channel group each. A frame marks the positions at the border that kept their own
    value.

    Args:
        settings: Settings of `SpatialShift`, `"a"` to `"j"`.
        orders: `"hw"` for shift 1 of S2-MLPv2, `"wh"` for its shift 2, or both.
        shape: Rows and columns of the grid, at most 26 positions.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure. The image of each axis holds the index of the input that each position got.

    Raises:
        ValueError: For an unknown setting or order.
        ImportError: Without Matplotlib.

    Example:

    >>> figure = plot_spatial_shift("j", shape=(1, 3))  # (j): everything moves right
    >>> figure.axes[1].images[0].get_array().tolist()
    [[0, 0, 1]]
    """
    shifts = [SpatialShift(setting, order) for setting in settings for order in orders]
    cells = np.arange(shape[0] * shape[1]).reshape(shape)
    # Rows of panels (title, grid). A setting that does not fit starts a new row.
    rows, columns = [[("input", cells)]], max(5, *(len(shift.steps) for shift in shifts))
    for shift in shifts:
        groups = len(shift.steps)
        x = np.repeat(cells[None, ..., None], groups, axis=-1).astype("float32")
        y = keras.ops.convert_to_numpy(shift(x))[0].astype(int)
        name = f"({shift.setting})" if len(orders) == 1 else f"({shift.setting}), {shift.order}"
        titles = [f"group {k + 1} {ARROWS[step]}" for k, step in enumerate(shift.steps)]
        titles[0] = f"{name}\n{titles[0]}"
        if len(rows[-1]) + groups > columns:
            rows.append([])
        rows[-1] += [(title, y[..., k]) for k, title in enumerate(titles)]
    figsize = (1.2 * columns, (1.2 * shape[0] / shape[1] + 0.45) * len(rows))
    figure, axes = subplots(len(rows), columns, figsize=figsize)
    for row, panels in zip(axes, rows):
        for axis, (title, grid) in zip(row, panels):
            _draw_cells(axis, grid, kept=(grid == cells) & (title != "input"))
            axis.set_title(title, fontsize=9)
        for axis in row[len(panels) :]:
            axis.remove()
    return saved(figure, path)


def _draw_cells(axis, grid, kept):
    from matplotlib.patches import Rectangle

    axis.imshow(grid, cmap="viridis", vmin=0, vmax=grid.size - 1)
    hide_ticks(axis)
    for (i, j), cell in np.ndenumerate(grid):
        color = "white" if cell < 0.6 * grid.size else "black"
        axis.text(j, i, chr(ord("A") + cell), ha="center", va="center", color=color, fontsize=8)
        if kept[i, j]:
            corner = (j - 0.35, i - 0.35)
            axis.add_patch(Rectangle(corner, 0.7, 0.7, fill=False, edgecolor=color))
