"""Which branch S2-MLPv2's split attention listens to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.visualization._figure import COLORS, saved, show_image, subplots
from keras_shiftmlp.visualization._models import layers_with, pixels_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BRANCHES = ("shift 1, height first", "shift 2, width first", "no shift")


def plot_split_attention(
    model: keras.Model, image: Any, path: str | os.PathLike[str] | None = None
) -> Figure:
    """The weight of each branch of S2-MLPv2 in each block, for one image.

    The split attention weighs three branches against each other, channel by channel. A line is the
    mean over the channels, and its band holds the middle half of them. The dotted line is a third.

    Args:
        model: A model with `S2Attention` layers.
        image: Pixels `(H, W, C)` in `[0, 255]` of the model's size, or the path of an image, which
            `eval_transform` resizes and crops.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.

    Returns:
        The figure: the image, and one axis per branch. The three lines sum to one.

    Raises:
        ValueError: For a model without `S2Attention`, or an image of another size.
        ImportError: Without Matplotlib.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4,), dims=(8,), depths=(2,), input_shape=(16, 24, 3))
    >>> figure = plot_split_attention(model, np.zeros((16, 24, 3)))
    >>> len(figure.axes[1].lines[0].get_xdata())
    2
    """
    layers = layers_with(model, lambda x: isinstance(x, S2Attention), "S2Attention layers")
    pixels = pixels_of(model, image)
    inputs = keras.Model(model.input, [layer.input for layer in layers])(pixels)
    weights = [
        keras.ops.convert_to_numpy(layer.attention.branch_weights(layer.branches(x)))[0]
        for layer, x in zip(layers, inputs)
    ]
    figure, [[picture, *axes]] = subplots(1, 1 + len(BRANCHES), figsize=(10.5, 2.9))
    show_image(picture, pixels[0])
    depth = np.arange(1, len(layers) + 1)
    for branch, (axis, name, color) in enumerate(zip(axes, BRANCHES, COLORS)):
        of_branch = [of_layer[branch].ravel() for of_layer in weights]
        low, high = np.transpose([np.percentile(x, (25, 75)) for x in of_branch])
        axis.fill_between(depth, low, high, color=color, alpha=0.2, linewidth=0)
        axis.plot(depth, [x.mean() for x in of_branch], "o-", color=color)
        axis.axhline(1 / len(BRANCHES), color="gray", linewidth=0.8, linestyle=":")
        axis.set(title=name, xlabel="block", ylim=(0, 1))
        axis.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("weight in the split attention")
    return saved(figure, path)
