"""Measured times of models and layers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.visualization._figure import BLUE, COLORS, SKY, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_benchmark(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Time against parameters, and the ratio to the matrix products.

    Args:
        rows: Those of `bench.measure`.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure.
    """
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    figure, axes = subplots(2, len(modes), figsize=(6 * len(modes), 8))
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    for (above, below), mode in zip(axes.T, modes):
        for place, (backend, color) in enumerate(zip(backends, itertools.cycle(COLORS))):
            mine = [row for row in rows if (row["mode"], row["backend"]) == (mode, backend)]
            params = [row["params"] / 1e6 for row in mine]
            above.scatter(params, [row["ms"] for row in mine], color=color, label=backend)
            for row, x in zip(mine, params):
                above.annotate(row["model"], (x, row["ms"]), fontsize=7)
            width = 0.8 / len(backends)
            at = [models.index(row["model"]) + (place + 0.5) * width - 0.4 for row in mine]
            below.bar(at, [row["ratio"] for row in mine], width, color=color)
        above.set(title=mode, xlabel="million parameters", ylabel="ms per image")
        below.set(xticks=range(len(models)), ylabel="time / time of the matrix products")
        below.set_xticklabels(models, rotation=20, fontsize=8)
        below.axhline(1, color="black", linewidth=0.8)
        above.grid(alpha=0.3)
        above.legend()
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
