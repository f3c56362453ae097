"""CycleMLP: a pyramid whose dense layers read each channel from a neighbour along one axis.

Paper: https://arxiv.org/abs/2107.10224 (Chen et al., 2021). Reference code: ShoufaChen/CycleMLP.

Where the two differ, this follows the code, which made the checkpoints: the steps of a `CycleFC`
are centred on the position (Eq. 4 starts at it), and two `CycleFC` of one axis each are fused with
a dense layer by the split attention of Vision Permutator. The released sizes T, S and B have no
published code and are absent here.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.dense import Conv2D, Dense
from keras_shiftmlp.layers.cycle_fc import CycleFC
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    pyramid_level,
)
from keras_shiftmlp.layers.split_attention import SplitAttention
from keras_shiftmlp.models._arguments import check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper and the released code.
_DIMS = (64, 128, 320, 512)
CONFIGS = {
    "B1": dict(dims=_DIMS, depths=(2, 2, 4, 2), mlp_ratios=(4, 4, 4, 4)),
    "B2": dict(dims=_DIMS, depths=(2, 3, 10, 3), mlp_ratios=(4, 4, 4, 4)),
    "B3": dict(dims=_DIMS, depths=(3, 4, 18, 3), mlp_ratios=(8, 8, 4, 4)),
    "B4": dict(dims=_DIMS, depths=(3, 8, 27, 3), mlp_ratios=(8, 8, 4, 4)),
    "B5": dict(dims=(96, 192, 384, 768), depths=(3, 4, 24, 3), mlp_ratios=(4, 4, 4, 4)),
}
PAPER = {
    "B1": dict(params="15M", macs="2.1", top1="78.9"),
    "B2": dict(params="27M", macs="3.9", top1="81.6"),
    "B3": dict(params="38M", macs="6.9", top1="82.4"),
    "B4": dict(params="52M", macs="10.1", top1="83.0"),
    "B5": dict(params="76M", macs="12.3", top1="83.2"),
}
NORM_EPSILON = 1e-5
STEM, DOWNSAMPLING = (7, 4, 2), (3, 2, 1)  # kernel size, stride, padding


def cycle_mlp_block(x, *, mlp_ratio, drop_path_rate, name):
    """Section 3.3 of the paper on `(B, H, W, C)`: Cycle FC along both axes, a channel MLP."""
    dim = x.shape[-1]
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_spatial_norm")(x)
    w = CycleFC(dim, axis="width", kernel_initializer=NORMAL, name=f"{name}_spatial_width")(y)
    h = CycleFC(dim, axis="height", kernel_initializer=NORMAL, name=f"{name}_spatial_height")(y)
    c = Dense(dim, use_bias=False, kernel_initializer=NORMAL, name=f"{name}_spatial_channel")(y)
    y = SplitAttention(None, "mean", NORMAL, use_bias=True, name=f"{name}_spatial_attention")(
        [w, h, c]
    )
    y = Dense(dim, kernel_initializer=NORMAL, name=f"{name}_spatial_project")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_channel_norm")(x)
    y = channel_mlp(y, mlp_ratio * dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def overlapping_patches(x, dim, kernel_size, stride, padding, name):
    """`H' = floor((H + 2 * padding - kernel_size) / stride) + 1`, zeros on all sides."""
    limit = (kernel_size * kernel_size * x.shape[-1]) ** -0.5
    uniform = {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}
    x = keras.layers.ZeroPadding2D(padding, data_format="channels_last", name=f"{name}_padding")(x)
    return Conv2D(
        dim,
        kernel_size,
        strides=stride,
        data_format="channels_last",
        kernel_initializer=uniform,
        bias_initializer=uniform,
        name=name,
    )(x)


def cycle_mlp(
    dims: Sequence[int] = _DIMS,
    depths: Sequence[int] = (2, 2, 4, 2),
    mlp_ratios: Sequence[int] = (4, 4, 4, 4),
):
    """CycleMLP of any size. Images need at least 3 rows and 3 columns.

    Args:
        dims: Channels of each stage. The first stage has a stride of 4, each further one halves
            the map.
        depths: Blocks of each stage.
        mlp_ratios: Hidden width of the channel MLP of each stage, in multiples of its channels.

    Reference: [CycleMLP](https://arxiv.org/abs/2107.10224).

    Example:

    >>> CycleMLP(dims=(16, 32), depths=(1, 1), mlp_ratios=(4, 4),
    ...          input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths, mlp_ratios=mlp_ratios)
    check_integers(dims=dims, depths=depths, mlp_ratios=mlp_ratios)

    def features(x, drop_path_rate):
        if any(side is not None and side < 3 for side in x.shape[1:3]):
            raise ValueError(
                "The first patches of CycleMLP need at least 3 rows and 3 columns. "
                f"Received: `input_shape={tuple(x.shape[1:])}`"
            )
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth, mlp_ratio) in enumerate(zip(dims, depths, mlp_ratios)):
            patches = STEM if s == 0 else DOWNSAMPLING
            x = overlapping_patches(x, dim, *patches, name=f"stage_{s}_stem")
            for i in range(depth):
                x = cycle_mlp_block(
                    x,
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                    name=f"stage_{s}_block_{i}",
                )
            if s == len(dims) - 1:
                x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x)
            x = pyramid_level(x, 4 * 2**s)
        return x

    return features


CycleMLP = Constructor(
    "CycleMLP", cycle_mlp, preprocessing="imagenet_mean_std", head_initializer=NORMAL
)
CycleMLPB1 = CycleMLP.size("CycleMLPB1", CONFIGS["B1"], PAPER["B1"])
CycleMLPB2 = CycleMLP.size("CycleMLPB2", CONFIGS["B2"], PAPER["B2"])
CycleMLPB3 = CycleMLP.size("CycleMLPB3", CONFIGS["B3"], PAPER["B3"])
CycleMLPB4 = CycleMLP.size("CycleMLPB4", CONFIGS["B4"], PAPER["B4"])
CycleMLPB5 = CycleMLP.size("CycleMLPB5", CONFIGS["B5"], PAPER["B5"])
