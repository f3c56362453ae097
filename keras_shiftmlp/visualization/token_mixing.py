"""The learned token-mixing weights of MLP-Mixer and its relatives."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.visualization._figure import hide_ticks, saved, subplots
from keras_shiftmlp.visualization._models import chosen, grid_of, layers_with

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_token_mixing(
    model: keras.Model,
    blocks: Sequence[int] = (0, 1, -1),
    units: int = 10,
    path: str | os.PathLike[str] | None = None,
) -> Figure:
    """What the strongest units of the first token-mixing layer of a block look at.

    A row for each block and a panel for each unit: its weights, one per token, where the tokens lie
    in the image. The units with the largest norm come first. Each panel has the colours from minus
    to plus its largest weight; white is zero.

    Args:
        model: A Mixer, GMixer or ResMLP.
        blocks: The blocks, as list indices: -1 is the last.
        units: Number of units.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure. Its images hold the weights as grids of tokens.

    Raises:
        ValueError: For a model without such layers, or without such a block.
        ImportError: Without Matplotlib.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601), Figure 5.

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=8, dim=16, depth=1, tokens_mlp_dim=8, input_shape=(16, 24, 3))
    >>> figure = plot_token_mixing(model, blocks=[0], units=4)
    >>> figure.axes[0].images[0].get_array().shape
    (2, 3)
    """
    # The second layer of the MLP takes hidden units, not tokens.
    layers = layers_with(
        model,
        lambda x: isinstance(x, TokenDense) and not x.name.endswith("fc2"),
        "TokenDense layers",
    )
    picked = [chosen(layers, block, "blocks") for block in blocks]
    units = min(units, *(layer.tokens for layer in picked))
    height, width = grid_of(model, picked[0].kernel.shape[0])
    figsize = (0.95 * units + 0.8, (0.95 * height / width + 0.05) * len(blocks) + 0.4)
    figure, axes = subplots(len(blocks), units, figsize=figsize)
    for row, layer in zip(axes, picked):
        kernel = keras.ops.convert_to_numpy(layer.kernel).astype("float32")  # (S, units)
        strongest = np.argsort(-np.linalg.norm(kernel, axis=0), kind="stable")
        for axis, unit in zip(row, strongest):
            weights = kernel[:, unit].reshape(height, width)
            limit = np.abs(weights).max()
            axis.imshow(weights, cmap="RdBu_r", vmin=-limit, vmax=limit)
            hide_ticks(axis)
        name = f"block {layers.index(layer) + 1}"
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    figure.suptitle(f"{model.name}: strongest token-mixing units", fontsize=10)
    return saved(figure, path)
