"""S2-MLP: a spatial shift without parameters mixes the tokens between two channel MLPs.

Paper: https://arxiv.org/abs/2106.07477 (Yu et al., 2021). The authors published no code. The norms
follow Figure 1: after FC2 and FC4, inside the branch. Public PyTorch code puts them before FC1 and
FC3 and omits the norm of the embedding: `norm_position="pre"`, `embed_norm=False`.
"""

import math
from collections.abc import Sequence
from typing import Literal

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    normalization,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.spatial_shift import SETTINGS, SpatialShift
from keras_shiftmlp.models._arguments import check_choice, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Tables 2 and 3 of the paper.
CONFIGS = {
    "wide": dict(patch_sizes=(16,), dims=(768,), depths=(12,), mlp_ratio=4, norm="layer"),
    "deep": dict(patch_sizes=(16,), dims=(384,), depths=(36,), mlp_ratio=4, norm="affine"),
    # Ours, for images of 32 x 32: 16 x 16 positions, then 8 x 8.
    "nano": dict(patch_sizes=(2, 2), dims=(64, 128), depths=(6, 8), mlp_ratio=3, norm="batch"),
}
PAPER = {
    "wide": dict(params="71M, no head", macs="14.0", top1="80.0"),
    "deep": dict(params="51M, no head, in units of 2^20", macs="10.5", top1="80.7"),
}


def s2_mlp_block(
    x, *, mlp_ratio, setting, order, norm, norm_position, norm_epsilon, drop_path_rate, name
):
    """Figure 1 of the paper on `(B, H, W, C)`: FC1, GELU, shift, FC2; then FC3, GELU, FC4."""
    dim = x.shape[-1]

    def normalize(y, position, name):
        if position != norm_position:
            return y
        return normalization(y, norm, epsilon=norm_epsilon, name=name)

    y = normalize(x, "pre", name=f"{name}_spatial_norm")
    y = Dense(dim, gelu, kernel_initializer=NORMAL, name=f"{name}_spatial_fc1")(y)
    y = SpatialShift(setting, order, name=f"{name}_spatial_shift")(y)
    y = Dense(dim, kernel_initializer=NORMAL, name=f"{name}_spatial_fc2")(y)
    y = normalize(y, "post", name=f"{name}_spatial_norm")
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = normalize(x, "pre", name=f"{name}_channel_norm")
    y = channel_mlp(y, mlp_ratio * dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    y = normalize(y, "post", name=f"{name}_channel_norm")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def s2_mlp(
    patch_sizes: Sequence[int] = (16,),
    dims: Sequence[int] = (384,),
    depths: Sequence[int] = (36,),
    mlp_ratio: int = 4,
    setting: str = "a",
    order: Literal["hw", "wh"] = "hw",
    norm: Literal["layer", "affine", "batch"] = "layer",
    norm_position: Literal["post", "pre"] = "post",
    embed_norm: bool = True,
    norm_epsilon: float = 1e-5,
):
    """S2-MLP of any size.

    The paper's networks have one stage. With several it is a pyramid, as S2-MLPv2 is.

    Args:
        patch_sizes: Side of each stage's patches in positions of the previous stage, or pixels.
        dims: Channels `C` of each stage, at least one per direction of the shift.
        depths: Blocks of each stage.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        setting: Directions of the spatial shift, `"a"` to `"j"`; see `layers.SpatialShift`.
        order: `"hw"` or `"wh"`: the axis of the first two channel groups.
        norm: `"layer"`; `"affine"` for ResMLP's scale and offset without statistics; or `"batch"`.
        norm_position: `"post"`, after the second layer of each branch, as the paper draws it;
            `"pre"`, before the first, as in public PyTorch code.
        embed_norm: Whether a norm follows each patch embedding.
        norm_epsilon: Epsilon of every norm with statistics.

    Reference: [S2-MLP](https://arxiv.org/abs/2106.07477).

    Example:

    >>> S2MLP(patch_sizes=(8,), dims=(16,), depths=(2,), input_shape=(32, 48, 3),
    ...       classes=5).output_shape
    (None, 5)
    """
    check_stages(patch_sizes=patch_sizes, dims=dims, depths=depths)
    check_integers(patch_sizes=patch_sizes, depths=depths, mlp_ratio=mlp_ratio)
    check_choice(SETTINGS, setting=setting)
    check_choice(("hw", "wh"), order=order)
    check_choice(("layer", "affine", "batch"), norm=norm)
    check_choice(("pre", "post"), norm_position=norm_position)
    check_integers(minimum=len(SETTINGS[setting]), dims=dims)
    # ResMLP's affine takes the place of the blocks' norms only.
    stem_norm = "batch" if norm == "batch" else "layer"

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (patch_size, dim, depth) in enumerate(zip(patch_sizes, dims, depths)):
            prefix = f"stage_{s}_" if s else ""  # the paper's networks have one stage
            x = patch_embedding(x, dim, patch_size, name=f"{prefix}stem")
            if embed_norm:
                x = normalization(x, stem_norm, epsilon=norm_epsilon, name=f"{prefix}stem_norm")
            for i in range(depth):
                x = s2_mlp_block(
                    x,
                    mlp_ratio=mlp_ratio,
                    setting=setting,
                    order=order,
                    norm=norm,
                    norm_position=norm_position,
                    norm_epsilon=norm_epsilon,
                    drop_path_rate=next(rates),
                    name=f"{prefix}block_{i}",
                )
            if s == len(dims) - 1 or patch_sizes[s + 1] > 1:  # the last stage of this stride
                x = pyramid_level(x, math.prod(patch_sizes[: s + 1]))
        return x

    return features


S2MLP = Constructor("S2MLP", s2_mlp, preprocessing="imagenet_mean_std", head_initializer=NORMAL)
S2MLPWide = S2MLP.size("S2MLPWide", CONFIGS["wide"], PAPER["wide"])
S2MLPDeep = S2MLP.size("S2MLPDeep", CONFIGS["deep"], PAPER["deep"])
S2MLPNano = S2MLP.size("S2MLPNano", CONFIGS["nano"], image_size=32, weights="cifar10")
