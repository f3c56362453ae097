"""S2-MLP: a spatial shift without parameters mixes the tokens between two channel MLPs.

Paper: https://arxiv.org/abs/2106.07477 (Yu et al., 2021). The authors published no code. The norms
follow Figure 1: after FC2 and FC4, inside the branch. Public PyTorch code puts them before FC1 and
FC3 and omits the norm of the embedding: `norm_position="pre"`, `embed_norm=False`.
"""

from typing import Literal

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.spatial_shift import SETTINGS, SpatialShift
from keras_shiftmlp.models._arguments import check_choice, check_integers
from keras_shiftmlp.models._constructor import Constructor

# Tables 2 and 3 of the paper.
CONFIGS = {
    "wide": dict(patch_size=16, dim=768, depth=12, mlp_ratio=4, norm="layer"),
    "deep": dict(patch_size=16, dim=384, depth=36, mlp_ratio=4, norm="affine"),
    # Ours, for images of 32 x 32: 8 x 8 positions, one block for each step across the map.
    "nano": dict(patch_size=4, dim=128, depth=8, mlp_ratio=3, norm="layer"),
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
        if norm == "affine":
            return Affine(name=name)(y)
        return keras.layers.LayerNormalization(epsilon=norm_epsilon, name=name)(y)

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
    patch_size: int = 16,
    dim: int = 384,
    depth: int = 36,
    mlp_ratio: int = 4,
    setting: str = "a",
    order: Literal["hw", "wh"] = "hw",
    norm: Literal["layer", "affine"] = "layer",
    norm_position: Literal["post", "pre"] = "post",
    embed_norm: bool = True,
    norm_epsilon: float = 1e-5,
):
    """S2-MLP of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every position, at least one per direction of the shift.
        depth: Number of blocks.
        mlp_ratio: Hidden width of the channel MLP, in multiples of `dim`.
        setting: Directions of the spatial shift, `"a"` to `"j"`; see `layers.SpatialShift`.
        order: `"hw"` or `"wh"`: the axis of the first two channel groups.
        norm: `"layer"`, or `"affine"` for ResMLP's scale and offset without statistics.
        norm_position: `"post"`, after the second layer of each branch, as the paper draws it;
            `"pre"`, before the first, as in public PyTorch code.
        embed_norm: Whether a LayerNormalization follows the patch embedding.
        norm_epsilon: Epsilon of every LayerNormalization.

    Reference: [S2-MLP](https://arxiv.org/abs/2106.07477).

    Example:

    >>> S2MLP(patch_size=8, dim=16, depth=2, input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, depth=depth, mlp_ratio=mlp_ratio)
    check_choice(SETTINGS, setting=setting)
    check_choice(("hw", "wh"), order=order)
    check_choice(("layer", "affine"), norm=norm)
    check_choice(("pre", "post"), norm_position=norm_position)
    check_integers(minimum=len(SETTINGS[setting]), dim=dim)

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, name="stem")
        if embed_norm:
            x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="stem_norm")(x)
        for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
            x = s2_mlp_block(
                x,
                mlp_ratio=mlp_ratio,
                setting=setting,
                order=order,
                norm=norm,
                norm_position=norm_position,
                norm_epsilon=norm_epsilon,
                drop_path_rate=rate,
                name=f"block_{i}",
            )
        return pyramid_level(x, patch_size)

    return features


S2MLP = Constructor("S2MLP", s2_mlp, preprocessing="imagenet_mean_std", head_initializer=NORMAL)
S2MLPWide = S2MLP.size("S2MLPWide", CONFIGS["wide"], PAPER["wide"])
S2MLPDeep = S2MLP.size("S2MLPDeep", CONFIGS["deep"], PAPER["deep"])
S2MLPNano = S2MLP.size("S2MLPNano", CONFIGS["nano"], image_size=32, weights="cifar10")
