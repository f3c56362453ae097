"""Accuracy against cost over all families."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.visualization._figure import COLORS, saved, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COSTS = {
    "macs": (1e9, "multiply-adds per image, 10⁹"),
    "params": (1e6, "parameters, 10⁶"),
    "ms": (1, "ms per image"),
}


def plot_accuracy(
    rows: Sequence[dict[str, Any]],
    costs: Sequence[str] = ("macs", "params"),
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """The ImageNet accuracy that the papers report against the cost, one line per family.

    A row whose `"paper_top1"` is not a plain number is left out: the paper gives none, or it names
    other training data.

    Args:
        rows: Dictionaries with `"model"`, `"paper_top1"` in percent and the costs, such as those of
            `docs/models.json`.
        costs: One axis each: `"macs"`, `"params"` or `"ms"`.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure, with one line per family in each axis.

    Raises:
        ValueError: For an unknown cost, or if no row has an accuracy.
        ImportError: Without Matplotlib.

    Example:

    >>> row = {"model": "S2MLPv2Small", "macs": 6.9e9, "params": 25e6, "paper_top1": "82.0"}
    >>> plot_accuracy([row]).axes[0].lines[0].get_xydata().tolist()
    [[6.9, 82.0]]
    """
    unknown = [cost for cost in costs if cost not in COSTS]
    if unknown or not costs:
        raise ValueError(f"`costs` must be some of {list(COSTS)}. Received: `costs={list(costs)}`")
    families = collections.defaultdict(list)
    for row in rows:
        if str(row["paper_top1"]).replace(".", "", 1).isdigit():
            families[find_constructor(row["model"]).family].append(row)
    if not families:
        raise ValueError("`rows` must have a row with an accuracy. Received: none")
    # The best family first, as in the picture.
    best = {name: max(float(x["paper_top1"]) for x in own) for name, own in families.items()}
    figure, [axes] = subplots(1, len(costs), figsize=(5 * len(costs) + 1.5, 5.5))
    from matplotlib.ticker import LogLocator

    # Seven colours and six markers: no two of the first 42 families look alike.
    order = sorted(best, key=lambda name: -best[name])
    styles = list(zip(order, itertools.cycle(COLORS), itertools.cycle("osD^vX")))
    for axis, cost in zip(axes, costs):
        unit, label = COSTS[cost]
        for name, color, marker in styles:
            own = sorted(families[name], key=lambda row: row[cost])
            x = [row[cost] / unit for row in own]
            y = [float(row["paper_top1"]) for row in own]
            axis.plot(x, y, color=color, marker=marker, markersize=5, linewidth=1, label=name)
        axis.set_xscale("log", subs=range(2, 10))
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set(xlabel=label, ylabel="ImageNet top-1 of the paper, %")
        axis.grid(alpha=0.3, which="both")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    return saved(figure, path)
