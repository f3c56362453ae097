"""timm's state dicts of Mixer, gMixer, gMLP, ResMLP and ConvMixer (`.pth`, `.safetensors`)."""

from keras_shiftmlp.checkpoints.sources import (
    END,
    Source,
    affine,
    conv2d,
    depthwise,
    linear,
    norm,
    row,
)

MIXER = [
    *conv2d("stem.proj", "stem"),
    *norm("blocks.#.norm1", "block_#_token_norm"),
    *norm("blocks.#.norm2", "block_#_channel_norm"),
    *linear("blocks.#.mlp_tokens.fc#", "block_#_token_fc#"),
    *linear("blocks.#.mlp_channels.fc#", "block_#_channel_fc#"),
    *END,
]
GMLP = [
    *conv2d("stem.proj", "stem"),
    *norm("blocks.#.norm", "block_#_norm"),
    *linear("blocks.#.mlp_channels.fc#", "block_#_channel_fc#"),
    *norm("blocks.#.mlp_channels.gate.norm", "block_#_spatial/norm"),
    *linear("blocks.#.mlp_channels.gate.proj", "block_#_spatial/project"),
    *END,
]
RESMLP = [
    *conv2d("stem.proj", "stem"),
    *affine("blocks.#.norm1", "block_#_token_norm"),
    *affine("blocks.#.norm2", "block_#_channel_norm"),
    *linear("blocks.#.linear_tokens", "block_#_token"),
    *linear("blocks.#.mlp_channels.fc#", "block_#_channel_fc#"),
    row("blocks.#.ls1", "block_#_token_layer_scale/gamma"),
    row("blocks.#.ls2", "block_#_channel_layer_scale/gamma"),
    *affine("norm", "norm"),
    *linear("head", "predictions"),
]
CONV_MIXER = [
    *conv2d("stem.0", "stem"),
    *norm("stem.2", "stem_norm"),
    *linear("blocks.#.0.fn.0", "block_#_spatial", depthwise),
    *norm("blocks.#.0.fn.2", "block_#_spatial_norm"),
    *linear("blocks.#.1", "block_#_channel"),
    *norm("blocks.#.3", "block_#_channel_norm"),
    *linear("head", "predictions"),
]


def is_gated(arrays):
    """Whether the MLPs are those of gMixer: the gate halves the input of the second layer."""
    fc1, fc2 = (
        getattr(arrays.get(f"blocks.0.mlp_tokens.fc{i}.weight"), "shape", ()) for i in (1, 2)
    )
    return fc1[:1] == tuple(2 * size for size in fc2[1:])


_TOKEN_MLP = "blocks.0.mlp_tokens.fc1.weight"
SOURCES = [
    Source("timm_conv_mixer", "ConvMixer", marker="blocks.0.0.fn.0.weight", table=CONV_MIXER),
    Source("timm_gmixer", "GMixer", marker=_TOKEN_MLP, table=MIXER, condition=is_gated),
    Source("timm_gmlp", "GMLP", marker="blocks.0.mlp_channels.gate.proj.weight", table=GMLP),
    Source(
        "timm_mixer",
        family="Mixer",
        marker=_TOKEN_MLP,
        table=MIXER,
        hyperparameters={"gelu": "erf"},
        condition=lambda arrays: not is_gated(arrays),
    ),
    Source("timm_resmlp", "ResMLP", marker="blocks.0.linear_tokens.weight", table=RESMLP),
]
