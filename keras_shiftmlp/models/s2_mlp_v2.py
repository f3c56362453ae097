"""S2-MLPv2: a pyramid that fuses two shifted branches and an unshifted one by split attention.

Paper: https://arxiv.org/abs/2108.01072 (Yu et al., 2021). The authors published no code. The paper
does not give the hidden width of the split attention: a quarter of the channels is the only simple
ratio that gives its 25M, 55M and 30M parameters; public code uses all of them
(`split_attention_ratio=1.0`). It does not mention a final norm: Vision Permutator, the source of
its pyramid, has one; public S2-MLPv2 code has none (`final_norm=False`).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    normalization,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.s2_attention import S2Attention
from keras_shiftmlp.layers.split_attention import POOLINGS, Pooling
from keras_shiftmlp.models._arguments import check_choice, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Tables 1 and 4 of the paper; Small/14 keeps its 16 x 16 tokens, so it is one stage of 18 blocks.
CONFIGS = {
    "Small/7": dict(patch_sizes=(7, 2), dims=(192, 384), depths=(4, 14)),
    "Medium/7": dict(patch_sizes=(7, 2), dims=(256, 512), depths=(7, 17)),
    "Small/14": dict(patch_sizes=(14,), dims=(384,), depths=(18,)),
    # Ours, for images of 32 x 32. A sum over the positions soon drives the softmax of a small
    # network to 0 and 1; the mean and larger initial weights learn faster.
    "Nano": dict(
        patch_sizes=(2, 2),
        dims=(64, 128),
        depths=(3, 6),
        norm="batch",
        split_attention_pooling="mean",
        kernel_initializer="lecun_normal",
    ),
}
PAPER = {
    "Small/7": dict(params="25M", macs="6.9", top1="82.0"),
    "Medium/7": dict(params="55M", macs="16.3", top1="83.6"),
    "Small/14": dict(params="30M", macs="5.7, does not follow from the network", top1="80.9"),
}


def s2_mlp_v2_block(x, *, mlp_ratio, ratio, pooling, norm, epsilon, init, drop_path_rate, name):
    """Section 4 of the paper on `(B, H, W, C)`: S2 attention, then a channel MLP."""
    y = normalization(x, norm, epsilon=epsilon, name=f"{name}_spatial_norm")
    y = S2Attention(ratio, pooling, kernel_initializer=init, name=f"{name}_spatial")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = normalization(x, norm, epsilon=epsilon, name=f"{name}_channel_norm")
    y = channel_mlp(y, mlp_ratio * x.shape[-1], kernel_initializer=init, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def s2_mlp_v2(
    patch_sizes: Sequence[int] = (7, 2),
    dims: Sequence[int] = (192, 384),
    depths: Sequence[int] = (4, 14),
    mlp_ratio: int = 3,
    split_attention_ratio: float = 0.25,
    split_attention_pooling: Pooling = "sum",
    kernel_initializer: str | dict[str, Any] = NORMAL,
    final_norm: bool = True,
    norm: Literal["layer", "batch"] = "layer",
    norm_epsilon: float = 1e-5,
):
    """S2-MLPv2 of any size.

    Args:
        patch_sizes: Side of each stage's patches in positions of the previous stage, or pixels.
        dims: Channels of each stage, at least 4.
        depths: Blocks of each stage.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        split_attention_ratio: Hidden width of the split attention, as a share of the channels.
        split_attention_pooling: `"sum"` over the positions, as in the paper, or `"mean"`.
        kernel_initializer: Initializer of the dense kernels. The paper gives none; this is DeiT's.
        final_norm: Whether a norm precedes the pooling.
        norm: `"layer"`, as in the paper, or `"batch"`.
        norm_epsilon: Epsilon of every norm.

    Reference: [S2-MLPv2](https://arxiv.org/abs/2108.01072).

    Example:

    >>> S2MLPv2(patch_sizes=(4, 2), dims=(16, 32), depths=(1, 1),
    ...         input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(patch_sizes=patch_sizes, dims=dims, depths=depths)
    check_integers(patch_sizes=patch_sizes, depths=depths, mlp_ratio=mlp_ratio)
    check_integers(minimum=4, dims=dims)  # one channel for each direction of a shift
    check_choice(("layer", "batch"), norm=norm)
    check_choice(POOLINGS, split_attention_pooling=split_attention_pooling)
    if split_attention_ratio <= 0:
        raise ValueError(
            "`split_attention_ratio` must be positive. "
            f"Received: `split_attention_ratio={split_attention_ratio!r}`"
        )

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (patch_size, dim, depth) in enumerate(zip(patch_sizes, dims, depths)):
            x = patch_embedding(x, dim, patch_size, name=f"stage_{s}_stem")
            for i in range(depth):
                x = s2_mlp_v2_block(
                    x,
                    mlp_ratio=mlp_ratio,
                    ratio=split_attention_ratio,
                    pooling=split_attention_pooling,
                    norm=norm,
                    epsilon=norm_epsilon,
                    init=kernel_initializer,
                    drop_path_rate=next(rates),
                    name=f"stage_{s}_block_{i}",
                )
            is_last = s == len(dims) - 1
            if final_norm and is_last:
                x = normalization(x, norm, epsilon=norm_epsilon, name="norm")
            if is_last or patch_sizes[s + 1] > 1:  # the last stage of this stride
                x = pyramid_level(x, math.prod(patch_sizes[: s + 1]))
        return x

    return features


S2MLPv2 = Constructor(
    "S2MLPv2", s2_mlp_v2, preprocessing="imagenet_mean_std", head_initializer=NORMAL
)
S2MLPv2Small = S2MLPv2.size("S2MLPv2Small", CONFIGS["Small/7"], PAPER["Small/7"])
S2MLPv2Medium = S2MLPv2.size("S2MLPv2Medium", CONFIGS["Medium/7"], PAPER["Medium/7"])
S2MLPv2Small14 = S2MLPv2.size("S2MLPv2Small14", CONFIGS["Small/14"], PAPER["Small/14"])
S2MLPv2Nano = S2MLPv2.size("S2MLPv2Nano", CONFIGS["Nano"], image_size=32, weights="cifar10")
