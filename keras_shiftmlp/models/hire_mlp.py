"""Hire-MLP: MLPs over regions of rows and columns, and a circular shift between the regions.

Paper: https://arxiv.org/abs/2108.13341 (Guo et al., 2021). Reference code:
ggjy/Hire-Wave-MLP.pytorch (`mlp_based/hire_mlp.py`).

Where the two differ, this follows the code, which made the checkpoints: the norms are
BatchNormalization (the paper draws LayerNormalization), the branches are fused by split attention,
and the shifts are 0, 2, 0, 2, ... in the first two stages and 0, 1, 2, 0, ... in the third.
"""

import math
from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    pyramid_level,
)
from keras_shiftmlp.layers.hierarchical_rearrangement import BATCH_NORM, HierarchicalRearrangement
from keras_shiftmlp.layers.strided_conv import strided_conv
from keras_shiftmlp.models._arguments import check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper, and the released code.
CONFIGS = {
    "Tiny": dict(dims=(64, 128, 320, 512), depths=(2, 2, 4, 2)),
    "Small": dict(dims=(64, 128, 320, 512), depths=(3, 4, 10, 3)),
    "Base": dict(dims=(64, 128, 320, 512), depths=(4, 6, 24, 3)),
    "Large": dict(dims=(96, 192, 384, 768), depths=(4, 6, 24, 3)),
}
# The README of the code: its accuracies are those of the files.
PAPER = {
    "Tiny": dict(params="18M", macs="2.1", top1="79.7"),
    "Small": dict(params="33M", macs="4.2", top1="82.1"),
    "Base": dict(params="58M", macs="8.1", top1="83.2"),
    "Large": dict(params="96M", macs="13.4", top1="83.8"),
}


def hire_mlp_block(x, *, region_size, shift, mlp_ratio, drop_path_rate, name):
    """Section 3 of the paper on `(B, H, W, C)`: rearrangement, then a channel MLP."""
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_spatial_norm")(x)
    y = HierarchicalRearrangement(region_size, shift, NORMAL, name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = BatchNormalization(**BATCH_NORM, name=f"{name}_channel_norm")(x)
    hidden_dim = mlp_ratio * x.shape[-1]
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def hire_mlp(
    dims: Sequence[int] = (64, 128, 320, 512),
    depths: Sequence[int] = (2, 2, 4, 2),
    region_sizes: Sequence[int] = (4, 3, 3, 2),
    shift_cycles: Sequence[int] = (2, 2, 3, 2),
    shift_units: Sequence[int] = (2, 2, 1, 1),
    mlp_ratio: int = 4,
):
    """Hire-MLP of any size.

    Args:
        dims: Channels of each stage.
        depths: Blocks of each stage.
        region_sizes: Rows, and columns, of the regions of each stage.
        shift_cycles: Number of different shifts in each stage.
        shift_units: Smallest shift of each stage in positions. Block `j` of a stage shifts by
            `(j mod cycle) * unit`.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.

    Reference: [Hire-MLP](https://arxiv.org/abs/2108.13341).

    Example:

    >>> HireMLP(dims=(16, 32), depths=(2, 1), region_sizes=(4, 3), shift_cycles=(2, 2),
    ...         shift_units=(2, 1), input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(
        dims=dims,
        depths=depths,
        region_sizes=region_sizes,
        shift_cycles=shift_cycles,
        shift_units=shift_units,
    )
    check_integers(dims=dims, depths=depths, region_sizes=region_sizes, mlp_ratio=mlp_ratio)
    check_integers(shift_cycles=shift_cycles, shift_units=shift_units)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            name = f"stage_{s}"
            conv = (3, 2, 1) if s else (7, 4, 2)  # kernel size, stride and padding
            x = strided_conv(x, dim, *conv, kernel_initializer=NORMAL, name=f"{name}_stem")
            x = BatchNormalization(**BATCH_NORM, name=f"{name}_stem_norm")(x)
            x = keras.layers.ReLU(name=f"{name}_stem_relu")(x)
            for i in range(depth):
                x = hire_mlp_block(
                    x,
                    region_size=region_sizes[s],
                    shift=i % shift_cycles[s] * shift_units[s],
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                    name=f"{name}_block_{i}",
                )
            if s == len(dims) - 1:
                x = BatchNormalization(**BATCH_NORM, name="norm")(x)
            x = pyramid_level(x, 4 * 2**s)
        return x

    return features


def check_shape(shape, region_sizes: Sequence[int], **_) -> None:
    """Raises unless the circular padding of every stage fits its map of `(n + 1) // 4 / 2**s`."""
    # The map of stage `s` needs more than half a region, `ceil(p / 2)` rows and columns.
    smallest = max(4 * ((math.ceil(p / 2) - 1) * 2**s + 1) - 1 for s, p in enumerate(region_sizes))
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ValueError(
            f"Regions of {', '.join(map(str, region_sizes))} positions need images of at least "
            f"{smallest} by {smallest} pixels. Received: `input_shape={shape}`"
        )


HireMLP = Constructor(
    "HireMLP",
    hire_mlp,
    preprocessing="imagenet_mean_std",
    check_shape=check_shape,
    head_initializer=NORMAL,
)
HireMLPTiny = HireMLP.size("HireMLPTiny", CONFIGS["Tiny"], PAPER["Tiny"])
HireMLPSmall = HireMLP.size("HireMLPSmall", CONFIGS["Small"], PAPER["Small"])
HireMLPBase = HireMLP.size("HireMLPBase", CONFIGS["Base"], PAPER["Base"])
HireMLPLarge = HireMLP.size("HireMLPLarge", CONFIGS["Large"], PAPER["Large"])
