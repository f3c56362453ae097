"""MLP-Mixer: one MLP across the patches, one across the channels, again and again.

Paper: https://arxiv.org/abs/2105.01601 (Tolstikhin et al., 2021). Reference code:
google-research/vision_transformer (`vit_jax/models_mixer.py`), google-research/big_vision.

What differs: stochastic depth, which only big_vision has, divides by the keep probability here.
"""

import keras

from keras_shiftmlp.kernels.gelu import gelu_activation
from keras_shiftmlp.layers.channel_mlp import channel_mlp
from keras_shiftmlp.layers.patch_embedding import patch_embedding
from keras_shiftmlp.layers.stochastic_depth import linear_rates, stochastic_depth
from keras_shiftmlp.layers.token_mixing_mlp import token_mixing_mlp
from keras_shiftmlp.models._arguments import check_positive
from keras_shiftmlp.models._constructor import constructor, pyramid_level, variant

# Table 1 of the paper; Google later put a checkpoint of size S/8 beside the others.
CONFIGS = {
    "S/32": dict(patch_size=32, dim=512, depth=8, token_dim=256, channel_dim=2048),
    "S/16": dict(patch_size=16, dim=512, depth=8, token_dim=256, channel_dim=2048),
    "S/8": dict(patch_size=8, dim=512, depth=8, token_dim=256, channel_dim=2048),
    "B/32": dict(patch_size=32, dim=768, depth=12, token_dim=384, channel_dim=3072),
    "B/16": dict(patch_size=16, dim=768, depth=12, token_dim=384, channel_dim=3072),
    "L/32": dict(patch_size=32, dim=1024, depth=24, token_dim=512, channel_dim=4096),
    "L/16": dict(patch_size=16, dim=1024, depth=24, token_dim=512, channel_dim=4096),
    "H/14": dict(patch_size=14, dim=1280, depth=32, token_dim=640, channel_dim=5120),
    # Ours, for images of 32 x 32: 64 tokens, the paper's ratios of the widths.
    "Nano/4": dict(patch_size=4, dim=128, depth=8, token_dim=64, channel_dim=512),
}


def mixer_block(x, token_dim, channel_dim, gelu, norm_epsilon, drop_path_rate, name):
    """Two pre-norm residual branches on `(B, S, C)`: over the tokens, then over the channels."""
    for branch, mlp, hidden_dim in (
        ("token", token_mixing_mlp, token_dim),
        ("channel", channel_mlp, channel_dim),
    ):
        branch = f"{name}_{branch}"
        y = keras.layers.LayerNormalization(epsilon=norm_epsilon, name=f"{branch}_norm")(x)
        y = mlp(y, hidden_dim, gelu=gelu, kernel_initializer="lecun_normal", name=branch)
        y = stochastic_depth(y, drop_path_rate, name=f"{branch}_drop_path")
        x = keras.layers.Add(name=f"{branch}_add")([x, y])
    return x


@constructor(preprocessing="minus_one_to_one", any_size=False)
def Mixer(
    x,
    drop_path_rate,
    patch_size: int = 16,
    dim: int = 512,
    depth: int = 8,
    token_dim: int = 256,
    channel_dim: int = 2048,
    gelu: str | None = None,
    final_norm: bool = True,
    norm_epsilon: float = 1e-6,
):
    """MLP-Mixer of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every token.
        depth: Number of blocks.
        token_dim: Hidden width of the token-mixing MLP.
        channel_dim: Hidden width of the channel-mixing MLP.
        gelu: `"tanh"` as in Google's checkpoints, `"erf"` as in timm's. `None` means that of the
            weights, `"tanh"` where nothing says.
        final_norm: Whether a LayerNormalization stands before the pooling.
        norm_epsilon: Epsilon of every LayerNormalization.
    {common}
    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601).

    Example:

    >>> Mixer(patch_size=8, dim=16, depth=2, token_dim=8, channel_dim=64,
    ...       input_shape=(32, 32, 3), classes=5).output_shape
    (None, 5)
    """
    check_positive(
        patch_size=patch_size, dim=dim, depth=depth, token_dim=token_dim, channel_dim=channel_dim
    )
    gelu = gelu or "tanh"
    gelu_activation(gelu)  # raises before the first layer is made
    x = patch_embedding(x, dim, patch_size, kernel_initializer="lecun_normal", name="stem")
    _, height, width, _ = x.shape
    # (B, H, W, C) -> (B, S, C), S = H * W, row by row
    x = keras.layers.Reshape((height * width, dim), name="tokens")(x)
    for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
        x = mixer_block(x, token_dim, channel_dim, gelu, norm_epsilon, rate, name=f"block_{i}")
    if final_norm:
        x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="norm")(x)
    # (B, S, C) -> (B, H, W, C)
    x = keras.layers.Reshape((height, width, dim), name="map")(x)
    return pyramid_level(x, patch_size)


MixerS32 = variant("MixerS32", Mixer, CONFIGS["S/32"])
MixerS16 = variant("MixerS16", Mixer, CONFIGS["S/16"])
MixerS8 = variant("MixerS8", Mixer, CONFIGS["S/8"])
MixerB32 = variant("MixerB32", Mixer, CONFIGS["B/32"])
MixerB16 = variant("MixerB16", Mixer, CONFIGS["B/16"])
MixerL32 = variant("MixerL32", Mixer, CONFIGS["L/32"])
MixerL16 = variant("MixerL16", Mixer, CONFIGS["L/16"])
MixerH14 = variant("MixerH14", Mixer, CONFIGS["H/14"])
MixerNano = variant("MixerNano", Mixer, CONFIGS["Nano/4"], image_size=32, weights="cifar10")
