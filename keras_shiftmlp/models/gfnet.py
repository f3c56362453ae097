"""GFNet: a global filter, a product in the frequency domain, mixes the tokens.

Paper: https://arxiv.org/abs/2107.00645 (Rao et al., 2021). Reference code: raoyongming/GFNet. This
follows the code, which made the checkpoints: a block has one shortcut around filter and MLP.
"""

import keras

from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.global_filter import GlobalFilter
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.position_embedding import PositionEmbedding
from keras_shiftmlp.models._arguments import check_integers
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper.
CONFIGS = {
    "Ti": dict(dim=256, depth=12),
    "XS": dict(dim=384, depth=12),
    "S": dict(dim=384, depth=19),
    "B": dict(dim=512, depth=19),
}
PAPER = {
    "Ti": dict(params="7M", macs="1.3", top1="74.6"),
    "XS": dict(params="16M", macs="2.8", top1="78.6"),
    "S": dict(params="25M", macs="4.5", top1="80.0"),
    "B": dict(params="43M", macs="7.9", top1="80.7"),
}
NORM_EPSILON = 1e-6


def gfnet_block(x, *, mlp_ratio, drop_path_rate, name, layer_scale_init=None):
    """Section 3.2 of the paper on `(B, H, W, C)`: norm, global filter, norm, channel MLP."""
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_spatial_norm")(x)
    y = GlobalFilter(NORMAL, name=f"{name}_spatial")(y)
    y = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{name}_channel_norm")(y)
    hidden_dim = mlp_ratio * x.shape[-1]
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    if layer_scale_init is not None:
        y = LayerScale(layer_scale_init, name=f"{name}_layer_scale")(y)
    return add_branch(x, y, drop_path_rate, name=name)


def gfnet(patch_size: int = 16, dim: int = 384, depth: int = 12, mlp_ratio: int = 4):
    """GFNet of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every position.
        depth: Number of blocks.
        mlp_ratio: Hidden width of the channel MLP, in multiples of `dim`.

    Reference: [GFNet](https://arxiv.org/abs/2107.00645).

    Example:

    >>> GFNet(patch_size=8, dim=16, depth=2, input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth, mlp_ratio=mlp_ratio)

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, name="stem")
        x = PositionEmbedding(NORMAL, name="stem_position")(x)
        for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
            x = gfnet_block(x, mlp_ratio=mlp_ratio, drop_path_rate=rate, name=f"block_{i}")
        x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x)
        return pyramid_level(x, patch_size)

    return features


GFNet = Constructor(
    "GFNet", gfnet, preprocessing="imagenet_mean_std", any_size=False, head_initializer=NORMAL
)
GFNetTiny = GFNet.size("GFNetTiny", CONFIGS["Ti"], PAPER["Ti"])
GFNetXS = GFNet.size("GFNetXS", CONFIGS["XS"], PAPER["XS"])
GFNetS = GFNet.size("GFNetS", CONFIGS["S"], PAPER["S"])
GFNetB = GFNet.size("GFNetB", CONFIGS["B"], PAPER["B"])
