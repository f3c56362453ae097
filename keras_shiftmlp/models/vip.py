"""Vision Permutator: dense layers along the height, the width and the channels of a map.

Paper: https://arxiv.org/abs/2106.12368 (Hou et al., 2021). Reference code:
Andrew-Qibin/VisionPermutator. This follows the code, which made the checkpoints: Table 1 of the
paper gives Large/7 9 and 27 blocks, the code 8 and 28. A patch size of 1 means no stem.
"""

import math
from collections.abc import Sequence

import keras

from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.weighted_permute_mlp import WeightedPermuteMLP
from keras_shiftmlp.models._arguments import check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# The released code; Small/7 and Large/7 have the default patches and segments.
_LARGE_PATCHES = dict(patch_sizes=(14, 1, 1, 1), segments=(16, 16, 16, 16))
_LATE_PATCHES = dict(patch_sizes=(7, 1, 2, 1), segments=(32, 32, 16, 16))
CONFIGS = {
    "Small/14": dict(_LARGE_PATCHES, dims=(384,) * 4, depths=(4, 3, 8, 3)),
    "Small/7": dict(dims=(192, 384, 384, 384), depths=(4, 3, 8, 3)),
    "Medium/7": dict(_LATE_PATCHES, dims=(256, 256, 512, 512), depths=(4, 3, 14, 3)),
    "Large/7": dict(dims=(256, 512, 512, 512), depths=(8, 8, 16, 4)),
}
# Table 2 of the paper; the multiply-adds are those that the papers of CycleMLP and S2-MLPv2 quote.
PAPER = {
    "Small/14": dict(params="30M", macs="–", top1="80.5"),
    "Small/7": dict(params="25M", macs="6.9", top1="81.5"),
    "Medium/7": dict(params="55M", macs="16.3", top1="82.7"),
    "Large/7": dict(params="88M", macs="24.3", top1="83.2"),
}
NORM_EPSILON = 1e-5


def vip_block(x, *, mlp_ratio, drop_path_rate, name):
    """Eq. 1 and 2 of the paper on `(B, H, W, C)`."""
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_spatial_norm")(x)
    y = WeightedPermuteMLP(NORMAL, name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    hidden_dim = mlp_ratio * x.shape[-1]
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_channel_norm")(x)
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def map_sizes(segments) -> list[tuple[int, ...]]:
    """Height and width of each stage's map."""
    return [(side, side) if isinstance(side, int) else tuple(side) for side in segments]


def check_shape(shape, *, patch_sizes, segments, **_):
    """Raises unless the maps of an image `(H, W, C)` have the sizes of `segments`."""
    sides = shape[:2]
    for patch_size, expected in zip(patch_sizes, map_sizes(segments)):
        sides = tuple(math.ceil(side / patch_size) for side in sides)
        if sides != expected:
            raise ValueError(
                "`segments` must be the height and width of each stage's map, and a map is "
                f"{sides}. Received: `input_shape={shape}`, `segments={segments!r}`"
            )


def vip(
    patch_sizes: Sequence[int] = (7, 2, 1, 1),
    dims: Sequence[int] = (192, 384, 384, 384),
    depths: Sequence[int] = (4, 3, 8, 3),
    segments: Sequence[int | Sequence[int]] = (32, 16, 16, 16),
    mlp_ratio: int = 3,
):
    """Vision Permutator (ViP) for one size of image.

    Args:
        patch_sizes: Side of the patches at the start of each stage, in positions of the previous
            stage; the first is in pixels. 1 after the first stage: no patches.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        segments: Height and width of each stage's map, as one number or two that divide its
            channels. The weights fit these numbers only.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.

    Reference: [Vision Permutator](https://arxiv.org/abs/2106.12368).

    Example:

    >>> ViP(patch_sizes=(4, 2), dims=(24, 36), depths=(1, 1), segments=((8, 12), (4, 6)),
    ...     input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(patch_sizes=patch_sizes, dims=dims, depths=depths, segments=segments)
    check_integers(patch_sizes=patch_sizes, dims=dims, depths=depths)
    check_integers(segments=segments, mlp_ratio=mlp_ratio)
    for s, (dim, sides) in enumerate(zip(dims, map_sizes(segments))):
        is_new = s == 0 or patch_sizes[s] > 1
        if any(dim % side for side in sides) or not (is_new or dim == dims[s - 1]):
            raise ValueError(
                "`dims` must be multiples of the stage's `segments` and change only with patches. "
                f"Received: `{dims=}`, `segments={segments!r}`, `patch_sizes={patch_sizes!r}`"
            )

    def features(x, drop_path_rate):
        stride = 1
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (patch_size, dim, depth) in enumerate(zip(patch_sizes, dims, depths)):
            stride *= patch_size
            if s == 0 or patch_size > 1:
                x = patch_embedding(x, dim, patch_size, name=f"stage_{s}_stem")
            for i in range(depth):
                block = dict(mlp_ratio=mlp_ratio, drop_path_rate=next(rates))
                x = vip_block(x, **block, name=f"stage_{s}_block_{i}")
            if is_last := s == len(dims) - 1:
                x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x)
            if is_last or patch_sizes[s + 1] > 1:  # the last stage of this stride
                x = pyramid_level(x, stride)
        return x

    return features


ViP = Constructor(
    "ViP",
    vip,
    preprocessing="imagenet_mean_std",
    any_size=False,
    check_shape=check_shape,
    head_initializer=NORMAL,
)
ViPSmall14 = ViP.size("ViPSmall14", CONFIGS["Small/14"], PAPER["Small/14"])
ViPSmall7 = ViP.size("ViPSmall7", CONFIGS["Small/7"], PAPER["Small/7"])
ViPMedium7 = ViP.size("ViPMedium7", CONFIGS["Medium/7"], PAPER["Medium/7"])
ViPLarge7 = ViP.size("ViPLarge7", CONFIGS["Large/7"], PAPER["Large/7"])
