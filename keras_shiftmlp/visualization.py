"""Pictures of a run: curves, predictions and confusions. Needs Matplotlib.

Each function returns its `matplotlib.figure.Figure` and saves it where `path` is given.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_curves(
    histories: dict[str, list[dict[str, Any]]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Loss and accuracy by epoch, with a marker at each epoch.

    Args:
        histories: For each curve's name the rows of a card's `"history"`.
        path: File of the picture, PNG by its ending `.png`. `None` saves nothing.

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
    figure, [axes] = _subplots(1, 2, figsize=(11, 4))
    for (name, rows), color in zip(histories.items(), _colors()):
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
    return _saved(figure, path)


def plot_benchmark(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Time against parameters, and the ratio to the matrix products.

    Args:
        rows: Those of `bench.measure`.
        path: As for `plot_curves`.

    Returns:
        The figure.
    """
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    figure, axes = _subplots(2, len(modes), figsize=(6 * len(modes), 8))
    backends = list(dict.fromkeys(row["backend"] for row in rows))
    models = list(dict.fromkeys(row["model"] for row in rows))
    for (above, below), mode in zip(axes.T, modes):
        for place, (backend, color) in enumerate(zip(backends, _colors())):
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
    return _saved(figure, path)


def plot_profile(
    rows: Sequence[dict[str, Any]], path: str | os.PathLike[str] | None = None
) -> Figure:
    """Time by kind of layer, with its ratio to the time of its matrix products.

    Args:
        rows: Those of `bench.profile`.
        path: As for `plot_curves`.

    Returns:
        The figure.
    """
    models = list(dict.fromkeys((row["model"], row["backend"]) for row in rows))
    figure, axes = _subplots(len(models), 1, figsize=(8, 3 * len(models)))
    for axis, (model, backend) in zip(axes.flat, models):
        mine = [row for row in rows if (row["model"], row["backend"]) == (model, backend)][::-1]
        layers = [row["layer"] for row in mine]
        axis.barh(layers, [row["ms"] for row in mine], color="tab:orange", label="layer")
        products = [row["matmul_ms"] for row in mine]
        axis.barh(layers, products, 0.4, color="tab:blue", label="its matrix products")
        for place, row in enumerate(mine):
            if row["matmul_ms"]:
                ratio = f" {row['ms'] / row['matmul_ms']:.2f} x"
                axis.text(row["ms"], place, ratio, va="center", fontsize=8)
        axis.margins(x=0.1)  # room for the ratios
        axis.set(title=f"{model}, {backend}", xlabel="ms per image")
        axis.legend()
    return _saved(figure, path)


def plot_predictions(
    images: Sequence[np.ndarray],
    labels: Sequence[int],
    scores: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    columns: int = 8,
) -> Figure:
    """A grid of images under their predicted classes.

    A right prediction has a green title that starts with ✓. A wrong one has a red title that
    starts with ✗, and the true class below it.

    Args:
        images: `N` images `(H, W, 3)` of uint8.
        labels: The index `(N,)` of the true class of each.
        scores: Probabilities `(N, classes)`.
        class_names: One name per class.
        path: As for `plot_curves`.
        columns: Images per row.

    Returns:
        The figure, with one axis per image, row by row.
    """
    rows = -(-len(images) // columns)
    figure, axes = _subplots(rows, columns, figsize=(1.6 * columns, 1.9 * rows))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, score in zip(axes.flat, images, labels, scores):
        best = int(np.argmax(score))
        axis.imshow(image)
        mark, color = ("✓", "tab:green") if best == label else ("✗", "tab:red")
        title = f"{mark} {class_names[best]} ({score[best]:.0%})"
        title += "" if best == label else f"\ntrue: {class_names[label]}"
        axis.set_title(title, color=color, fontsize=8)
    figure.suptitle("Predicted class (✓ right, ✗ wrong)")
    return _saved(figure, path)


def plot_confusion(
    labels: Sequence[int],
    predicted: Sequence[int],
    class_names: Sequence[str],
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """The confusion matrix: a row per true class, a column per predicted class.

    Each cell has the number of images. Its colour is their share of the images of the true class.

    Args:
        labels: Indices `(N,)` of the true classes.
        predicted: Indices `(N,)` of the predicted classes.
        class_names: One name per class.
        path: As for `plot_curves`.

    Returns:
        The figure.
    """
    counts = np.zeros([len(class_names)] * 2, int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predicted)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.5 + 0.55 * len(class_names)
    figure, [[axis]] = _subplots(1, 1, figsize=(side + 1, side))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(class_names)), class_names, rotation=45, ha="right")
    axis.set_yticks(range(len(class_names)), class_names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    for row, column in np.ndindex(*counts.shape):
        color = "white" if shares[row, column] > 0.5 else "black"
        text = str(counts[row, column])
        axis.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    accuracy = np.trace(counts) / max(1, counts.sum())
    axis.set_title(f"{accuracy:.1%} of {counts.sum()} images right")
    return _saved(figure, path)


def _subplots(rows, columns, figsize):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need Matplotlib: pip install matplotlib") from error
    # A `Figure` without pyplot draws without a display and changes no global state.
    figure = Figure(figsize=figsize, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _saved(figure, path):
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def _colors():
    from matplotlib import color_sequences

    return color_sequences["tab10"]
