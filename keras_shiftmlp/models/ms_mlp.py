"""MS-MLP: a pyramid that mixes near and far regions by rolls and depthwise convolutions.

Paper: https://arxiv.org/abs/2202.06510 (Zheng et al., 2022). Reference code: JegZheng/MS-MLP.

Where the two differ, this follows the code, which made the checkpoints: it rolls before it
convolves, its shifts are -2 to 2 (the paper's 0 to 4), and the kernel sizes are those of the
released configuration files. The last norm follows the pooling.
"""

import math
from collections.abc import Sequence
from typing import Literal

from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    normalization,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.mix_shift import MixShift, check_groups, chunk_sizes
from keras_shiftmlp.models._arguments import (
    check_choice,
    check_hidden_widths,
    check_integers,
    check_stages,
)
from keras_shiftmlp.models._constructor import Constructor

# Table 2 of the paper and the released configuration files.
CONFIGS = {
    "Tiny": dict(dims=(96, 192, 384, 768), depths=(3, 3, 9, 3)),
    "Small": dict(dims=(96, 192, 384, 768), depths=(3, 3, 27, 3)),
    "Base": dict(dims=(128, 256, 512, 1024), depths=(3, 3, 27, 3)),
    # Ours, for images of 32 x 32: the kernels fit maps of 16, 8 and 4 positions a side.
    "Nano": dict(
        patch_size=2,
        dims=(64, 128, 192),
        depths=(3, 6, 2),
        norm="batch",
        kernel_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 3, 3, 3, 3)),
        mlp_ratio=3,
        layer_scale_init=0.1,
    ),
}
PAPER = {
    "Tiny": dict(params="28M", macs="4.9, does not follow from the network", top1="82.1"),
    "Small": dict(params="50M", macs="9.0, does not follow from the network", top1="83.4"),
    "Base": dict(params="88M", macs="16.1, does not follow from the network", top1="83.8"),
}
KERNEL_SIZES = ((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 5, 5, 5, 7), (1, 7, 7, 7, 7))
NORM_EPSILON = 1e-6


def ms_mlp_block(x, *, kernel_sizes, shifts, mlp_ratio, norm, scale_init, drop_path_rate, name):
    """Section 3 of the paper on `(B, H, W, C)`: mix-shift, norm, channel MLP, layer scale."""
    y = MixShift(kernel_sizes, shifts, name=f"{name}_mix_shift")(x)
    y = normalization(y, norm, epsilon=NORM_EPSILON, name=f"{name}_norm")
    y = channel_mlp(
        y, int(mlp_ratio * x.shape[-1]), kernel_initializer=NORMAL, name=f"{name}_channel"
    )
    y = LayerScale(scale_init, name=f"{name}_layer_scale")(y)
    return add_branch(x, y, drop_path_rate, name=name)


def ms_mlp(
    patch_size: int = 4,
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (3, 3, 9, 3),
    kernel_sizes: Sequence[Sequence[int]] = KERNEL_SIZES,
    shifts: Sequence[int] = (-2, -1, 0, 1, 2),
    mlp_ratio: float = 4,
    norm: Literal["layer", "batch"] = "layer",
    layer_scale_init: float = 1e-6,
):
    """MS-MLP of any size.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        kernel_sizes: For each stage, the odd kernel size of each channel group.
        shifts: Signed distance in positions by which each channel group is rolled.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        norm: `"layer"`, as in the paper, or `"batch"`; the norm after the pooling stays `"layer"`.
        layer_scale_init: Initial value of every layer scale.

    Reference: [MS-MLP](https://arxiv.org/abs/2202.06510).

    Example:

    >>> MSMLP(dims=(20, 40), depths=(1, 1), kernel_sizes=((1, 1, 3, 5, 7),) * 2,
    ...       input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths, kernel_sizes=kernel_sizes)
    check_integers(patch_size=patch_size, dims=dims, depths=depths)
    check_choice(("layer", "batch"), norm=norm)
    check_hidden_widths(mlp_ratio=mlp_ratio, dims=dims)
    for dim, sizes in zip(dims, kernel_sizes):
        check_groups(sizes, shifts)
        chunk_sizes(dim, groups=len(sizes))
    patch_sizes = [patch_size] + [2] * (len(dims) - 1)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth, sizes) in enumerate(zip(dims, depths, kernel_sizes)):
            x = patch_embedding(x, dim, patch_sizes[s], name=f"stage_{s}_stem")
            x = normalization(x, norm, epsilon=NORM_EPSILON, name=f"stage_{s}_stem_norm")
            for i in range(depth):
                x = ms_mlp_block(
                    x,
                    kernel_sizes=sizes,
                    shifts=shifts,
                    mlp_ratio=mlp_ratio,
                    norm=norm,
                    scale_init=layer_scale_init,
                    drop_path_rate=next(rates),
                    name=f"stage_{s}_block_{i}",
                )
            x = pyramid_level(x, math.prod(patch_sizes[: s + 1]))
        return x

    return features


MSMLP = Constructor(
    "MSMLP",
    ms_mlp,
    preprocessing="imagenet_mean_std",
    pooled_norm_epsilon=NORM_EPSILON,
    head_initializer=NORMAL,
)
MSMLPTiny = MSMLP.size("MSMLPTiny", CONFIGS["Tiny"], PAPER["Tiny"])
MSMLPSmall = MSMLP.size("MSMLPSmall", CONFIGS["Small"], PAPER["Small"])
MSMLPBase = MSMLP.size("MSMLPBase", CONFIGS["Base"], PAPER["Base"])
MSMLPNano = MSMLP.size("MSMLPNano", CONFIGS["Nano"], image_size=32, weights="cifar10")
