"""What all pictures share: figures and colours."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours without yellow, which is too pale for lines on white. Readers of all
# common kinds of colour vision can tell them apart.
BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, BLACK = COLORS = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000",
)  # fmt: skip


def subplots(rows: int, columns: int, figsize: tuple[float, float]) -> tuple["Figure", np.ndarray]:
    """A figure of `figsize` inches and its `(rows, columns)` axes."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Plots need Matplotlib: pip install matplotlib") from error
    # A `Figure` without pyplot draws without a display and changes no global state. Those of
    # `keras.visualization` are pyplot's, and it draws image galleries only.
    figure = Figure(figsize=figsize, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def saved(figure: "Figure", path: str | os.PathLike[str] | None) -> "Figure":
    """The figure, after it was written to `path` if there is one."""
    if path is not None:
        figure.savefig(path, dpi=110)
    return figure


def hide_ticks(axis: Any) -> None:
    """Leaves a frame without ticks and numbers."""
    axis.set(xticks=[], yticks=[])


def show_image(axis: Any, pixels: np.ndarray) -> None:
    """An image `(H, W, C)` of 0 to 255. A small one is smoothed: large squares hide what it is."""
    axis.imshow(pixels.astype("uint8"), interpolation="bicubic")
    hide_ticks(axis)
