"""Measured times of models and layers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.visualization._figure import BLACK, BLUE, COLORS, SKY, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_benchmark(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Time per image, and its ratio to the time of the matrix products, as bars.

    Args:
        rows: Those of `bench.measure`.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure.
    """
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    columns = len(modes)
    figure, axes = subplots(2, columns, figsize=((1.5 + 0.9 * len(models)) * columns, 6))
    width = 0.8 / len(backends)
    for (above, below), mode in zip(axes.T, modes):
        for place, (backend, color) in enumerate(zip(backends, itertools.cycle(COLORS))):
            mine = [row for row in rows if (row["mode"], row["backend"]) == (mode, backend)]
            at = [models.index(row["model"]) + (place + 0.5) * width - 0.4 for row in mine]
            above.bar(at, [row["ms"] for row in mine], width, color=color, label=backend)
            below.bar(at, [row["ratio"] for row in mine], width, color=color)
        above.set(title=mode, ylabel="ms per image", xticks=[])
        below.set(xticks=range(len(models)), ylabel="times its matrix products")
        below.set_xticklabels(models, rotation=20, ha="right", rotation_mode="anchor")
        below.axhline(1, color=BLACK, linewidth=0.8)
        for axis in (above, below):
            axis.grid(axis="y", alpha=0.3)
            axis.set_axisbelow(True)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside right upper")
    return saved(figure, path)


def plot_profile(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Time by kind of layer, with its ratio to the time of its matrix products.

    Args:
        rows: Those of `bench.profile`.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure.
    """
    models = list(dict.fromkeys((row["model"], row["backend"]) for row in rows))
    figure, axes = subplots(len(models), 1, figsize=(8, 3 * len(models)))
    for axis, (model, backend) in zip(axes.flat, models):
        mine = [row for row in rows if (row["model"], row["backend"]) == (model, backend)][::-1]
        layers = [row["layer"] for row in mine]
        axis.barh(layers, [row["ms"] for row in mine], color=SKY, label="layer")
        products = [row["matmul_ms"] for row in mine]
        axis.barh(layers, products, 0.4, color=BLUE, label="its matrix products")
        for place, row in enumerate(mine):
            if row["matmul_ms"]:
                ratio = f" {row['ms'] / row['matmul_ms']:.2f} x"
                axis.text(row["ms"], place, ratio, va="center", fontsize=8)
        axis.margins(x=0.1)  # room for the ratios
        axis.set(title=f"{model}, {backend}", xlabel="ms per image")
        axis.legend()
    return saved(figure, path)
