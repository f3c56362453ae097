"""MLP-Mixer: MLPs across the patches and MLPs across the channels, in turns.

Paper: https://arxiv.org/abs/2105.01601 (Tolstikhin et al., 2021). Reference code:
google-research/vision_transformer (`vit_jax/models_mixer.py`), google-research/big_vision.

One difference: stochastic depth, which only big_vision has, divides by the keep probability here.
"""

from typing import Any, Literal

import keras

from keras_shiftmlp.kernels.gelu import GELU
from keras_shiftmlp.layers.functional import (
    add_branch,
    channel_mlp,
    linear_rates,
    normalization,
    patch_embedding,
    pyramid_level,
    token_mixing_mlp,
)
from keras_shiftmlp.models._arguments import check_choice, check_integers
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper; Google published the checkpoints of size S/8 later.
CONFIGS = {
    "S/32": dict(patch_size=32, dim=512, depth=8, tokens_mlp_dim=256, channels_mlp_dim=2048),
    "S/16": dict(patch_size=16, dim=512, depth=8, tokens_mlp_dim=256, channels_mlp_dim=2048),
    "S/8": dict(patch_size=8, dim=512, depth=8, tokens_mlp_dim=256, channels_mlp_dim=2048),
    "B/32": dict(patch_size=32, dim=768, depth=12, tokens_mlp_dim=384, channels_mlp_dim=3072),
    "B/16": dict(patch_size=16, dim=768, depth=12, tokens_mlp_dim=384, channels_mlp_dim=3072),
    "L/32": dict(patch_size=32, dim=1024, depth=24, tokens_mlp_dim=512, channels_mlp_dim=4096),
    "L/16": dict(patch_size=16, dim=1024, depth=24, tokens_mlp_dim=512, channels_mlp_dim=4096),
    "H/14": dict(patch_size=14, dim=1280, depth=32, tokens_mlp_dim=640, channels_mlp_dim=5120),
    # Ours, for images of 32 x 32: 64 tokens, the paper's ratios of the widths.
    "Nano/4": dict(patch_size=4, dim=128, tokens_mlp_dim=64, channels_mlp_dim=512, norm="batch"),
}
# Tables 1 and 2; the parameters are without the head.
PAPER = {
    "S/32": dict(params="19M, no head", macs="–", top1="68.70 (JFT-300M)"),
    "S/16": dict(params="18M, no head", macs="–", top1="73.83 (JFT-300M)"),
    "B/32": dict(params="60M, no head", macs="–", top1="75.53 (JFT-300M)"),
    "B/16": dict(params="59M, no head", macs="–", top1="76.44"),
    "L/32": dict(params="206M, no head", macs="–", top1="80.67 (JFT-300M)"),
    "L/16": dict(params="207M, no head", macs="–", top1="71.76"),
    "H/14": dict(params="431M, no head", macs="–", top1="86.32 (JFT-300M)"),
}


def mixer_block(
    x, *, tokens_mlp_dim, channels_mlp_dim, gelu, norm, norm_epsilon, drop_path_rate, name
):
    """Eq. 1 of the paper on `(B, S, C)`."""
    start: dict[str, Any] = dict(gelu=gelu, kernel_initializer="lecun_normal")
    # U = X + token MLP(norm(X))
    y = normalization(x, norm, epsilon=norm_epsilon, name=f"{name}_token_norm")
    y = token_mixing_mlp(y, tokens_mlp_dim, **start, name=f"{name}_token")
    x = add_branch(x, y, drop_path_rate, name=f"{name}_token")

    # Y = U + channel MLP(norm(U))
    y = normalization(x, norm, epsilon=norm_epsilon, name=f"{name}_channel_norm")
    y = channel_mlp(y, channels_mlp_dim, **start, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def mixer(
    patch_size: int = 16,
    dim: int = 512,
    depth: int = 8,
    tokens_mlp_dim: int = 256,
    channels_mlp_dim: int = 2048,
    gelu: Literal["erf", "tanh"] | None = None,
    final_norm: bool = True,
    norm: Literal["layer", "batch"] = "layer",
    norm_epsilon: float = 1e-6,
):
    """MLP-Mixer of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every token.
        depth: Number of blocks.
        tokens_mlp_dim: Hidden width of the token-mixing MLP.
        channels_mlp_dim: Hidden width of the channel-mixing MLP.
        gelu: `"tanh"` as in Google's checkpoints, `"erf"` as in timm's. `None`: the checkpoint's,
            or `"tanh"`.
        final_norm: Whether a norm precedes the pooling.
        norm: `"layer"`, as in the paper, or `"batch"`.
        norm_epsilon: Epsilon of every norm.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601).

    Example:

    >>> Mixer(patch_size=8, dim=16, depth=2, tokens_mlp_dim=8, channels_mlp_dim=64,
    ...       input_shape=(32, 32, 3), classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth)
    check_integers(tokens_mlp_dim=tokens_mlp_dim, channels_mlp_dim=channels_mlp_dim)
    gelu = gelu or "tanh"
    check_choice(GELU, gelu=gelu)
    check_choice(("layer", "batch"), norm=norm)

    def features(x, drop_path_rate):
        x = patch_embedding(x, dim, patch_size, kernel_initializer="lecun_normal", name="stem")
        _, height, width, _ = x.shape
        # (B, H, W, C) -> (B, S, C), S = H * W, row by row
        x = keras.layers.Reshape((height * width, dim), name="tokens")(x)
        for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
            x = mixer_block(
                x,
                tokens_mlp_dim=tokens_mlp_dim,
                channels_mlp_dim=channels_mlp_dim,
                gelu=gelu,
                norm=norm,
                norm_epsilon=norm_epsilon,
                drop_path_rate=rate,
                name=f"block_{i}",
            )
        if final_norm:
            x = normalization(x, norm, epsilon=norm_epsilon, name="norm")
        # (B, S, C) -> (B, H, W, C)
        x = keras.layers.Reshape((height, width, dim), name="map")(x)
        return pyramid_level(x, patch_size)

    return features


Mixer = Constructor("Mixer", mixer, preprocessing="minus_one_to_one", any_size=False)
MixerS32 = Mixer.size("MixerS32", CONFIGS["S/32"], PAPER["S/32"])
MixerS16 = Mixer.size("MixerS16", CONFIGS["S/16"], PAPER["S/16"])
MixerS8 = Mixer.size("MixerS8", CONFIGS["S/8"])
MixerB32 = Mixer.size("MixerB32", CONFIGS["B/32"], PAPER["B/32"])
MixerB16 = Mixer.size("MixerB16", CONFIGS["B/16"], PAPER["B/16"])
MixerL32 = Mixer.size("MixerL32", CONFIGS["L/32"], PAPER["L/32"])
MixerL16 = Mixer.size("MixerL16", CONFIGS["L/16"], PAPER["L/16"])
MixerH14 = Mixer.size("MixerH14", CONFIGS["H/14"], PAPER["H/14"])
MixerNano = Mixer.size("MixerNano", CONFIGS["Nano/4"], image_size=32, weights="cifar10")
