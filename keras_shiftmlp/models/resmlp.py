"""ResMLP: one linear layer across the patches and an MLP across the channels, without norms.

Paper: https://arxiv.org/abs/2105.03404 (Touvron et al., 2021). Reference code:
facebookresearch/deit (`resmlp_models.py`).

Where the two differ, this follows the code, which made the checkpoints: the affine layer at the end
of a branch has a scale but no offset (`LayerScale`), and every block has the same drop path rate.
"""

import keras

from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.layer_scale import LayerScale
from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.models._arguments import check_integers
from keras_shiftmlp.models._constructor import Constructor

# The sizes of the paper; the initial layer scales are those of the code.
CONFIGS = {
    "S12": dict(patch_size=16, dim=384, depth=12, layer_scale_init=0.1),
    "S24": dict(patch_size=16, dim=384, depth=24, layer_scale_init=1e-5),
    "S36": dict(patch_size=16, dim=384, depth=36, layer_scale_init=1e-6),
    # Patches of 8 pixels, as in the published weights.
    "B24": dict(patch_size=8, dim=768, depth=24, layer_scale_init=1e-6),
}
PAPER = {
    "S12": dict(params="15.4M", macs="3.0", top1="76.6"),
    "S24": dict(params="30.0M", macs="6.0", top1="79.4"),
    "S36": dict(params="44.7M", macs="8.9", top1="79.7"),
    "B24": dict(params="129.1M", macs="100.2", top1="81.0"),
}


def resmlp_block(x, *, mlp_ratio, layer_scale_init, drop_path_rate, name):
    """Eq. 2 and 3 of the paper on `(B, S, C)`."""
    tokens, dim = x.shape[1:]

    # Z = X + scale(token layer(affine(X)))
    y = Affine(name=f"{name}_token_norm")(x)
    y = TokenDense(tokens, kernel_initializer=NORMAL, name=f"{name}_token")(y)
    y = LayerScale(layer_scale_init, name=f"{name}_token_layer_scale")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_token")

    # Y = Z + scale(channel MLP(affine(Z)))
    y = Affine(name=f"{name}_channel_norm")(x)
    y = channel_mlp(y, mlp_ratio * dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    y = LayerScale(layer_scale_init, name=f"{name}_channel_layer_scale")(y)
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def resmlp(
    patch_size: int = 16,
    dim: int = 384,
    depth: int = 12,
    mlp_ratio: int = 4,
    layer_scale_init: float = 0.1,
):
    """ResMLP of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every token.
        depth: Number of blocks.
        mlp_ratio: Hidden width of the channel MLP, in multiples of `dim`.
        layer_scale_init: Initial value of every layer scale.

    Reference: [ResMLP](https://arxiv.org/abs/2105.03404).

    Example:

    >>> ResMLP(patch_size=8, dim=16, depth=2, input_shape=(32, 32, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth, mlp_ratio=mlp_ratio)

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, name="stem")
        _, height, width, _ = x.shape
        # (B, H, W, C) -> (B, S, C), S = H * W, row by row
        x = keras.layers.Reshape((height * width, dim), name="tokens")(x)
        for i in range(depth):
            x = resmlp_block(
                x,
                mlp_ratio=mlp_ratio,
                layer_scale_init=layer_scale_init,
                drop_path_rate=drop_path_rate,
                name=f"block_{i}",
            )
        x = Affine(name="norm")(x)
        # (B, S, C) -> (B, H, W, C)
        x = keras.layers.Reshape((height, width, dim), name="map")(x)
        return pyramid_level(x, patch_size)

    return features


ResMLP = Constructor(
    "ResMLP",
    resmlp,
    preprocessing="imagenet_mean_std",
    any_size=False,
    head_initializer=NORMAL,
)
ResMLPS12 = ResMLP.size("ResMLPS12", CONFIGS["S12"], PAPER["S12"])
ResMLPS24 = ResMLP.size("ResMLPS24", CONFIGS["S24"], PAPER["S24"])
ResMLPS36 = ResMLP.size("ResMLPS36", CONFIGS["S36"], PAPER["S36"])
ResMLPB24 = ResMLP.size("ResMLPB24", CONFIGS["B24"], PAPER["B24"])
