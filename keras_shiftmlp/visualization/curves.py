"""Training curves."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.visualization._figure import COLORS, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_curves(
    histories: dict[str, list[dict[str, Any]]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Loss and accuracy by epoch, with a marker at each epoch.

    Args:
        histories: The rows of a card's `"history"`, by the name of the curve.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure.

    Raises:
        ImportError: Without Matplotlib.

    Example:

    >>> rows = [{"epoch": 1, "loss": 2.0, "top1": 0.3}, {"epoch": 2, "loss": 1.5, "top1": 0.5}]
    >>> figure = plot_curves({"mixer": rows})
    >>> figure.axes[0].lines[0].get_ydata().tolist()
    [2.0, 1.5]
    """
    figure, [axes] = subplots(1, 2, figsize=(11, 4))
    for (name, rows), color in zip(histories.items(), itertools.cycle(COLORS)):
        epochs = [row["epoch"] for row in rows]
        for axis, key in zip(axes, ("loss", "top1")):
            validated = f"val_{key}" in rows[0]
            if validated:
                values = [row[f"val_{key}"] for row in rows]
                axis.plot(epochs, values, ".-", color=color, label=name)
            values, label = [row[key] for row in rows], None if validated else name
            axis.plot(epochs, values, ".--", color=color, alpha=0.5, label=label)
    for axis, title in zip(axes, ("cross-entropy", "top-1 accuracy")):
        axis.set_xlabel("epoch")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    axes[1].legend()
    figure.suptitle("solid: validation, dashed: training (augmented images)", fontsize=9)
    return saved(figure, path)
