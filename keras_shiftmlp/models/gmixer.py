"""gMixer: MLP-Mixer whose two MLPs are gated by SiLU.

There is no paper. Reference code: timm (`mlp_mixer.py`, `gmixer_12_224` and `gmixer_24_224`), whose
author replaced the MLPs of MLP-Mixer (https://arxiv.org/abs/2105.01601) by gated linear units
(https://arxiv.org/abs/2002.05202). There is no GELU.
"""

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.layers.functional import add_branch, patch_embedding, pyramid_level
from keras_shiftmlp.layers.silu_gate import HalvesInitializer, SiLUGate
from keras_shiftmlp.layers.token_dense import TokenDense
from keras_shiftmlp.models._arguments import check_integers
from keras_shiftmlp.models._constructor import Constructor

_SIZE = dict(patch_size=16, dim=384, tokens_mlp_dim=384, channels_mlp_dim=1536)
CONFIGS = {
    "12": dict(_SIZE, depth=12),
    "24": dict(_SIZE, depth=24),
}
# In front of a gate. The gates start at SiLU(1), almost without influence of the input.
_NEAR_ZERO = keras.initializers.RandomNormal(stddev=1e-6)
GATED = dict(
    kernel_initializer=HalvesInitializer("glorot_uniform", _NEAR_ZERO),
    bias_initializer=HalvesInitializer("zeros", "ones", axis=0),
)


def gmixer_block(x, *, tokens_mlp_dim, channels_mlp_dim, norm_epsilon, drop_path_rate, name):
    """MLP-Mixer's Eq. 1 on `(B, S, C)`, with a gate in the place of each GELU."""
    tokens, dim = x.shape[1:]

    # U = X + gated token MLP(norm(X))
    y = keras.layers.LayerNormalization(epsilon=norm_epsilon, name=f"{name}_token_norm")(x)
    y = TokenDense(tokens_mlp_dim, **GATED, name=f"{name}_token_fc1")(y)
    y = SiLUGate(axis=1, name=f"{name}_token_gate")(y)
    y = TokenDense(tokens, kernel_initializer="glorot_uniform", name=f"{name}_token_fc2")(y)
    x = add_branch(x, y, drop_path_rate, name=f"{name}_token")

    # Y = U + gated channel MLP(norm(U))
    y = keras.layers.LayerNormalization(epsilon=norm_epsilon, name=f"{name}_channel_norm")(x)
    y = Dense(channels_mlp_dim, **GATED, name=f"{name}_channel_fc1")(y)
    y = SiLUGate(name=f"{name}_channel_gate")(y)
    y = Dense(dim, name=f"{name}_channel_fc2")(y)
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def gmixer(
    patch_size: int = 16,
    dim: int = 384,
    depth: int = 12,
    tokens_mlp_dim: int = 384,
    channels_mlp_dim: int = 1536,
    norm_epsilon: float = 1e-6,
):
    """gMixer of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every token.
        depth: Number of blocks.
        tokens_mlp_dim: Width of the token-mixing MLP before its gate, which halves it; even.
        channels_mlp_dim: Width of the channel-mixing MLP before its gate, which halves it; even.
        norm_epsilon: Epsilon of every LayerNormalization.

    Reference: timm's [gMixer](https://huggingface.co/timm/gmixer_24_224.ra3_in1k).

    Example:

    >>> GMixer(patch_size=8, dim=16, depth=2, tokens_mlp_dim=16, channels_mlp_dim=64,
    ...        input_shape=(32, 32, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth)
    check_integers(tokens_mlp_dim=tokens_mlp_dim, channels_mlp_dim=channels_mlp_dim)
    if tokens_mlp_dim % 2 or channels_mlp_dim % 2:
        raise ValueError(
            "`tokens_mlp_dim` and `channels_mlp_dim` must be even, because the gates halve them. "
            f"Received: `{tokens_mlp_dim=}`, `{channels_mlp_dim=}`"
        )

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, kernel_initializer="lecun_normal", name="stem")
        _, height, width, _ = x.shape
        # (B, H, W, C) -> (B, S, C), S = H * W, row by row
        x = keras.layers.Reshape((height * width, dim), name="tokens")(x)
        for i in range(depth):
            x = gmixer_block(
                x,
                tokens_mlp_dim=tokens_mlp_dim,
                channels_mlp_dim=channels_mlp_dim,
                norm_epsilon=norm_epsilon,
                drop_path_rate=drop_path_rate,
                name=f"block_{i}",
            )
        x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
        # (B, S, C) -> (B, H, W, C)
        x = keras.layers.Reshape((height, width, dim), name="map")(x)
        return pyramid_level(x, patch_size)

    return features


GMixer = Constructor("GMixer", gmixer, preprocessing="imagenet_mean_std", any_size=False)
GMixer12 = GMixer.size("GMixer12", CONFIGS["12"])
GMixer24 = GMixer.size("GMixer24", CONFIGS["24"])
