"""Predictions on images, and the confusion matrix."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_shiftmlp.visualization._figure import BLUE, VERMILION, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_predictions(
    images: Sequence[np.ndarray],
    labels: Sequence[int],
    scores: np.ndarray,
    class_names: Sequence[str],
    path: str | os.PathLike[str] | None = None,
    columns: int = 8,
) -> Figure:
    """A grid of images under their predicted classes.

    A correct prediction has a blue title with ✓. A wrong one has a vermilion title with ✗ and the
    true class below it.

    Args:
        images: `N` images `(H, W, 3)` of uint8.
        labels: Indices `(N,)` of the true classes.
        scores: Probabilities `(N, classes)`.
        class_names: One name per class.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.
        columns: Images per row.

    Returns:
        The figure, with one axis per image, row by row.
    """
    rows = -(-len(images) // columns)
    figure, axes = subplots(rows, columns, figsize=(1.6 * columns, 1.9 * rows))
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, score in zip(axes.flat, images, labels, scores):
        best = int(np.argmax(score))
        axis.imshow(image)
        mark, color = ("✓", BLUE) if best == label else ("✗", VERMILION)
        title = f"{mark} {class_names[best]} ({score[best]:.0%})"
        title += "" if best == label else f"\ntrue: {class_names[label]}"
        axis.set_title(title, color=color, fontsize=8)
    figure.suptitle("Predicted class (✓ right, ✗ wrong)")
    return saved(figure, path)


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
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure.
    """
    counts = np.zeros([len(class_names)] * 2, int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predicted)), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figsize = (3.5 + 0.55 * len(class_names), 2.5 + 0.55 * len(class_names))
    figure, [[axis]] = subplots(1, 1, figsize=figsize)
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
    return saved(figure, path)
