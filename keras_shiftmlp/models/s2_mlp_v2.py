"""S2-MLPv2: a pyramid whose blocks fuse two differently shifted branches and a still one.

Paper: https://arxiv.org/abs/2108.01072 (Yu et al., 2021). The authors published no code. The
paper leaves the hidden width of the split attention open: a quarter of the channels is the only
simple ratio that gives its 25M, 55M and 30M parameters, public code takes all of them
(`split_attention_ratio=1.0`). It does not mention a final norm; Vision Permutator, whose pyramid
it takes over, has one, public S2-MLPv2 code has none (`final_norm=False`).
"""

import math
from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.initializers import NORMAL
from keras_shiftmlp.layers.channel_mlp import channel_mlp
from keras_shiftmlp.layers.patch_embedding import patch_embedding
from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.stochastic_depth import linear_rates, stochastic_depth
from keras_shiftmlp.models._arguments import check_positive, check_stages
from keras_shiftmlp.models._constructor import constructor, pyramid_level, variant

# Tables 1 and 4 of the paper; Small/14 keeps its 16 x 16 tokens, so it is one stage of 18 blocks.
CONFIGS = {
    "Small/7": dict(patch_sizes=(7, 2), dims=(192, 384), depths=(4, 14)),
    "Medium/7": dict(patch_sizes=(7, 2), dims=(256, 512), depths=(7, 17)),
    "Small/14": dict(patch_sizes=(14,), dims=(384,), depths=(18,)),
    # Ours, for images of 32 x 32: maps of 16 and 8 positions a side.
    # A sum over positions soon drives the softmax of a small network to 0 and 1; the mean and
    # larger first weights learn faster.
    "Nano": dict(
        patch_sizes=(2, 2),
        dims=(64, 128),
        depths=(2, 6),
        split_attention_pooling="mean",
        kernel_initializer="lecun_normal",
    ),
}


def s2_mlp_v2_block(
    x, mlp_ratio, split_attention, norm_epsilon, kernel_initializer, drop_path_rate, name
):
    """Two pre-norm residual branches on `(B, H, W, C)`: S2 attention, then a channel MLP."""

    def s2_attention(y, **kwargs):
        return S2Attention(*split_attention, **kwargs)(y)

    def mlp(y, **kwargs):
        return channel_mlp(y, mlp_ratio * x.shape[-1], **kwargs)

    for branch, layers in ((f"{name}_spatial", s2_attention), (f"{name}_channel", mlp)):
        y = keras.layers.LayerNormalization(epsilon=norm_epsilon, name=f"{branch}_norm")(x)
        y = layers(y, kernel_initializer=kernel_initializer, name=branch)
        y = stochastic_depth(y, drop_path_rate, name=f"{branch}_drop_path")
        x = keras.layers.Add(name=f"{branch}_add")([x, y])
    return x


@constructor(preprocessing="imagenet_mean_std", head_initializer=NORMAL)
def S2MLPv2(
    x,
    drop_path_rate,
    patch_sizes: Sequence[int] = (7, 2),
    dims: Sequence[int] = (192, 384),
    depths: Sequence[int] = (4, 14),
    mlp_ratio: int = 3,
    split_attention_ratio: float = 0.25,
    split_attention_pooling: str = "sum",
    kernel_initializer: str | dict = NORMAL,
    final_norm: bool = True,
    norm_epsilon: float = 1e-5,
):
    """S2-MLPv2 of any size.

    Args:
        patch_sizes: Side of the patches that each stage starts with, in positions of the stage
            before; the first is in pixels.
        dims: Channels of each stage, at least 4.
        depths: Blocks of each stage.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        split_attention_ratio: Hidden width of the split attention, as a share of the channels.
        split_attention_pooling: `"sum"` over the positions, as in the paper, or `"mean"`.
        kernel_initializer: Initializer of the dense kernels, by name or configuration. The paper
            gives none; normal with a standard deviation of 0.02 is that of DeiT's code.
        final_norm: Whether a LayerNormalization stands before the pooling.
        norm_epsilon: Epsilon of every LayerNormalization.
    {common}
    Reference: [S2-MLPv2](https://arxiv.org/abs/2108.01072).

    Example:

    >>> S2MLPv2(patch_sizes=(4, 2), dims=(16, 32), depths=(1, 1),
    ...         input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(patch_sizes=patch_sizes, dims=dims, depths=depths)
    check_positive(patch_sizes=patch_sizes, dims=dims, depths=depths, mlp_ratio=mlp_ratio)
    split_attention = (split_attention_ratio, split_attention_pooling)
    S2Attention(*split_attention)
    SpatialShift().compute_output_shape((None, None, None, min(dims)))
    patch_sizes, rates = tuple(patch_sizes), iter(linear_rates(drop_path_rate, sum(depths)))
    for s, (patch_size, dim, depth) in enumerate(zip(patch_sizes, dims, depths)):
        x = patch_embedding(x, dim, patch_size, name=f"stage_{s}_stem")
        for i in range(depth):
            block = (mlp_ratio, split_attention, norm_epsilon, kernel_initializer, next(rates))
            x = s2_mlp_v2_block(x, *block, name=f"stage_{s}_block_{i}")
        if final_norm and s == len(dims) - 1:
            x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
        if patch_sizes[s + 1 : s + 2] != (1,):  # a stage of the same stride follows
            x = pyramid_level(x, math.prod(patch_sizes[: s + 1]))
    return x


S2MLPv2Small = variant("S2MLPv2Small", S2MLPv2, CONFIGS["Small/7"])
S2MLPv2Medium = variant("S2MLPv2Medium", S2MLPv2, CONFIGS["Medium/7"])
S2MLPv2Small14 = variant("S2MLPv2Small14", S2MLPv2, CONFIGS["Small/14"])
S2MLPv2Nano = variant("S2MLPv2Nano", S2MLPv2, CONFIGS["Nano"], image_size=32, weights="cifar10")
