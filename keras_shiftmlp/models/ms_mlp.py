"""MS-MLP: a pyramid whose blocks mix regions near and far by rolls and depthwise convolutions.

Paper: https://arxiv.org/abs/2202.06510 (Zheng et al., 2022). Reference code: JegZheng/MS-MLP.

Where the two differ this follows the code, which made the checkpoints: it rolls before it
convolves, its shifts are -2 to 2 (the paper's 0 to 4), and the kernel sizes are those of the
released configuration files. The last norm comes after the pooling.
"""

import math
from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.initializers import NORMAL
from keras_shiftmlp.layers.channel_mlp import channel_mlp
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.mix_shift import MixShift, chunk_sizes
from keras_shiftmlp.layers.patch_embedding import patch_embedding
from keras_shiftmlp.layers.stochastic_depth import linear_rates, stochastic_depth
from keras_shiftmlp.models._arguments import check_positive, check_stages
from keras_shiftmlp.models._constructor import constructor, pyramid_level, variant

# Table 2 of the paper and the released configuration files.
CONFIGS = {
    "Tiny": dict(dims=(96, 192, 384, 768), depths=(3, 3, 9, 3)),
    "Small": dict(dims=(96, 192, 384, 768), depths=(3, 3, 27, 3)),
    "Base": dict(dims=(128, 256, 512, 1024), depths=(3, 3, 27, 3)),
    # Ours, for images of 32 x 32: maps of 16, 8 and 4 positions a side, kernels that fit them,
    # and layer scales large enough for a short run.
    "Nano": dict(
        patch_size=2,
        dims=(48, 96, 192),
        depths=(1, 4, 2),
        mix_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 3, 3, 3, 3)),
        mlp_ratio=3,
        layer_scale_init=0.1,
    ),
}
MIX_SIZES = ((1, 1, 3, 5, 7), (1, 3, 3, 5, 7), (1, 5, 5, 5, 7), (1, 7, 7, 7, 7))
NORM_EPSILON = 1e-6


def ms_mlp_block(x, kernel_sizes, shifts, mlp_ratio, layer_scale_init, drop_path_rate, name):
    """One residual branch on `(B, H, W, C)`: mix-shift, norm, channel MLP, layer scale."""
    y = MixShift(kernel_sizes, shifts, name=f"{name}_mix_shift")(x)
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_norm")(y)
    hidden_dim = int(mlp_ratio * x.shape[-1])
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    y = LayerScale(layer_scale_init, name=f"{name}_layer_scale")(y)
    y = stochastic_depth(y, drop_path_rate, name=f"{name}_drop_path")
    return keras.layers.Add(name=f"{name}_add")([x, y])


@constructor(
    preprocessing="imagenet_mean_std",
    pooled_norm_epsilon=NORM_EPSILON,
    head_initializer=NORMAL,
)
def MSMLP(
    x,
    drop_path_rate,
    patch_size: int = 4,
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (3, 3, 9, 3),
    mix_sizes: Sequence[Sequence[int]] = MIX_SIZES,
    shifts: Sequence[int] = (-2, -1, 0, 1, 2),
    mlp_ratio: float = 4,
    layer_scale_init: float = 1e-6,
):
    """MS-MLP of any size.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        mix_sizes: For each stage, the odd kernel size of each channel group.
        shifts: Signed distance in positions that each channel group is rolled by.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        layer_scale_init: Initial value of every layer scale.
    {common}
    Reference: [MS-MLP](https://arxiv.org/abs/2202.06510).

    Example:

    >>> MSMLP(dims=(20, 40), depths=(1, 1), mix_sizes=((1, 1, 3, 5, 7),) * 2,
    ...       input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths, mix_sizes=mix_sizes)
    check_positive(patch_size=patch_size, dims=dims, depths=depths)
    if mlp_ratio * min(dims) < 1:
        raise ValueError(
            "`mlp_ratio` must leave each channel MLP a hidden width of at least 1. "
            f"Received: `mlp_ratio={mlp_ratio!r}`, `dims={dims!r}`"
        )
    for dim, kernel_sizes in zip(dims, mix_sizes):
        MixShift(kernel_sizes, shifts)
        chunk_sizes(dim, len(kernel_sizes))
    patch_sizes = [patch_size] + [2] * (len(dims) - 1)
    rates = iter(linear_rates(drop_path_rate, sum(depths)))
    for s, (dim, depth, kernel_sizes) in enumerate(zip(dims, depths, mix_sizes)):
        x = patch_embedding(x, dim, patch_sizes[s], name=f"stage_{s}_stem")
        x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"stage_{s}_stem_norm")(x)
        for i in range(depth):
            block = (kernel_sizes, shifts, mlp_ratio, layer_scale_init, next(rates))
            x = ms_mlp_block(x, *block, name=f"stage_{s}_block_{i}")
        x = pyramid_level(x, math.prod(patch_sizes[: s + 1]))
    return x


MSMLPTiny = variant("MSMLPTiny", MSMLP, CONFIGS["Tiny"])
MSMLPSmall = variant("MSMLPSmall", MSMLP, CONFIGS["Small"])
MSMLPBase = variant("MSMLPBase", MSMLP, CONFIGS["Base"])
MSMLPNano = variant("MSMLPNano", MSMLP, CONFIGS["Nano"], image_size=32, weights="cifar10")
