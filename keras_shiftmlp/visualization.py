"""Pictures of a run: curves, predictions and confusions. Needs Matplotlib."""

import os
from collections.abc import Sequence

import numpy as np


def plot_curves(histories: dict[str, list[dict]], path: str | os.PathLike) -> None:
    """Loss and accuracy by epoch.

    Args:
        histories: For each curve's name the rows of a card's `"history"`.
        path: Where the PNG goes.
    """
    figure, axes = _subplots(1, 2, figsize=(11, 4))
    for (name, rows), color in zip(histories.items(), _colors()):
        epochs = [row["epoch"] for row in rows]
        for axis, key in zip(axes, ("loss", "top1")):
            if f"val_{key}" in rows[0]:
                axis.plot(epochs, [row[f"val_{key}"] for row in rows], color=color, label=name)
            style = dict(color=color, alpha=0.5, linestyle="--")
            axis.plot(epochs, [row[key] for row in rows], **style)
    for axis, title in zip(axes, ("cross-entropy", "top-1 accuracy")):
        axis.set_xlabel("epoch")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
    axes[1].legend()
    figure.suptitle("solid: validation, dashed: training (augmented images)", fontsize=9)
    figure.savefig(path, dpi=110)


def plot_benchmark(rows: Sequence[dict], path: str | os.PathLike) -> None:
    """Time against parameters, and the ratio to the matrix products.

    Args:
        rows: Those of `bench.measure`.
        path: Where the PNG goes.
    """
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    figure, axes = _subplots(2, len(modes), figsize=(6 * len(modes), 8))
    axes = axes.reshape(2, len(modes))  # also of one column
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
    figure.savefig(path, dpi=110)


def plot_profile(rows: Sequence[dict], path: str | os.PathLike) -> None:
    """Time by kind of layer, with its ratio to the time of its matrix products.

    Args:
        rows: Those of `bench.profile`.
        path: Where the PNG goes.
    """
    models = list(dict.fromkeys((row["model"], row["backend"]) for row in rows))
    figure, axes = _subplots(len(models), 1, figsize=(8, 3 * len(models)))
    for axis, (model, backend) in zip(np.atleast_1d(axes), models):
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
    figure.savefig(path, dpi=110)


def plot_predictions(
    images: Sequence[np.ndarray],
    labels: Sequence[int],
    scores: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike,
    columns: int = 8,
) -> None:
    """A grid of images under their predicted and true classes.

    Args:
        images: Pixels `(H, W, 3)` of uint8.
        labels: The true class of each.
        scores: Probabilities `(N, classes)`.
        class_names: One name per class.
        path: Where the PNG goes.
        columns: Images per row.
    """
    rows = -(-len(images) // columns)
    figure, axes = _subplots(rows, columns, figsize=(1.6 * columns, 1.9 * rows))
    for axis in np.atleast_1d(axes).flat:
        axis.axis("off")
    for axis, image, label, score in zip(np.atleast_1d(axes).flat, images, labels, scores):
        best = int(np.argmax(score))
        axis.imshow(image)
        title = f"{class_names[best]} ({score[best]:.0%})"
        title += "" if best == label else f"\ntrue: {class_names[label]}"
        axis.set_title(title, color="tab:green" if best == label else "tab:red", fontsize=8)
    figure.suptitle("Predicted class (red: wrong)")
    figure.savefig(path, dpi=110)


def plot_confusion(
    labels: Sequence[int],
    predicted: Sequence[int],
    class_names: Sequence[str],
    path: str | os.PathLike,
) -> None:
    """How many images of each class (rows) were taken for which class (columns).

    Args:
        labels: True classes.
        predicted: Predicted classes.
        class_names: One name per class.
        path: Where the PNG goes.
    """
    counts = np.zeros([len(class_names)] * 2, int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predicted)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.5 + 0.55 * len(class_names)
    figure, axis = _subplots(1, 1, figsize=(side + 1, side))
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
    figure.savefig(path, dpi=110)


def _subplots(rows, columns, figsize):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Pictures need Matplotlib: pip install matplotlib") from error
    # A figure of its own draws without a display and leaves pyplot's state alone.
    figure = Figure(figsize=figsize, layout="constrained")
    return figure, figure.subplots(rows, columns)


def _colors():
    from matplotlib import colormaps

    return list(colormaps["tab10"].colors)
