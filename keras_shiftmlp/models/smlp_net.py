"""sMLPNet: depthwise convolutions, and dense layers along rows and columns, in a pyramid.

Paper: https://arxiv.org/abs/2109.05422 (Tang et al., 2021). Reference code: microsoft/SPACH
(`models/smlp.py`).

Where the two differ, this follows the code, which made the checkpoints: the fusion concatenates
input, rows and columns in this order. Images need not be square here.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.kernels.depthwise import DepthwiseConv2D
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.layers.functional import add_branch, channel_mlp, linear_rates, pyramid_level
from keras_shiftmlp.layers.sparse_mlp import SparseMLP
from keras_shiftmlp.layers.strided_conv import strided_conv
from keras_shiftmlp.models._arguments import check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Table 6 of the paper, and the released code.
CONFIGS = {
    "Tiny": dict(dims=(80, 160, 320, 640), depths=(2, 8, 14, 2)),
    "Small": dict(dims=(96, 192, 384, 768), depths=(2, 10, 24, 2)),
    "Base": dict(dims=(112, 224, 448, 896), depths=(2, 10, 24, 2)),
}
PAPER = {
    "Tiny": dict(params="24.1M", macs="5.0", top1="81.9"),
    "Small": dict(params="48.6M", macs="10.3", top1="83.1"),
    "Base": dict(params="65.9M", macs="14.0", top1="83.4"),
}
BATCH_NORM = dict(momentum=0.9, epsilon=1e-5)
# PyTorch's default, uniform within 1 / sqrt(fan_in).
HEAD_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"},
}


def smlp_net_block(x, *, mlp_ratio, drop_path_rate, name):
    """Section 3 of the paper on `(B, H, W, C)`: local and sparse mixing, then a channel MLP."""
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_local_norm")(x)
    y = keras.layers.Activation(gelu, name=f"{name}_local_gelu")(y)
    y = DepthwiseConv2D(3, name=f"{name}_local_conv")(y)
    y = BatchNormalization(**BATCH_NORM, name=f"{name}_spatial_norm")(y)
    y = keras.layers.Activation(gelu, name=f"{name}_spatial_gelu")(y)
    y = SparseMLP(name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}_channel_norm")(x)
    y = channel_mlp(y, mlp_ratio * x.shape[-1], kernel_initializer=None, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def smlp_net(
    patch_size: int = 4,
    dims: Sequence[int] = (80, 160, 320, 640),
    depths: Sequence[int] = (2, 8, 14, 2),
    mlp_ratio: int = 3,
):
    """sMLPNet of any depth and width.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map and drop
            an odd last row or column.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.

    Reference: [sMLPNet](https://arxiv.org/abs/2109.05422).

    Example:

    >>> SMLPNet(dims=(16, 32), depths=(1, 1), input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths)
    check_integers(patch_size=patch_size, dims=dims, depths=depths, mlp_ratio=mlp_ratio)

    def features(x, drop_path_rate):
        rates = enumerate(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            side = 2 if s else patch_size
            x = strided_conv(x, dim, side, side, 0, use_bias=False, name=f"stage_{s}_stem")
            for _ in range(depth):
                i, rate = next(rates)  # the released files number the blocks across the stages
                x = smlp_net_block(x, mlp_ratio=mlp_ratio, drop_path_rate=rate, name=f"block_{i}")
            if s == len(dims) - 1:
                x = BatchNormalization(**BATCH_NORM, name="norm")(x)
            x = pyramid_level(x, patch_size * 2**s)
        return x

    return features


def check_shape(shape, patch_size: int, dims: Sequence[int], **_) -> None:
    """Raises unless both sides are whole patches and reach the last stage."""
    smallest = patch_size * 2 ** (len(dims) - 1)
    if any(side % patch_size or side < smallest for side in shape[:2]):
        raise ValueError(
            f"Height and width must be multiples of the patch size {patch_size}, at least "
            f"{smallest}. Received: `input_shape={shape}`"
        )


SMLPNet = Constructor(
    "SMLPNet",
    smlp_net,
    preprocessing="imagenet_mean_std",
    any_size=False,
    check_shape=check_shape,
    head_initializer=HEAD_INITIALIZER,
)
SMLPNetTiny = SMLPNet.size("SMLPNetTiny", CONFIGS["Tiny"], PAPER["Tiny"])
SMLPNetSmall = SMLPNet.size("SMLPNetSmall", CONFIGS["Small"], PAPER["Small"])
SMLPNetBase = SMLPNet.size("SMLPNetBase", CONFIGS["Base"], PAPER["Base"])
