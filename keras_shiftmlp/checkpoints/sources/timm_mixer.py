"""timm's Mixer state dicts (`.pth`, `.safetensors`)."""

from keras_shiftmlp.checkpoints.sources import Source, conv2d, layer_norm, linear

STATE_DICT = [
    *conv2d(r"stem\.proj", "stem"),
    *layer_norm(r"blocks\.(\d+)\.norm1", r"block_\1_token_norm"),
    *layer_norm(r"blocks\.(\d+)\.norm2", r"block_\1_channel_norm"),
    *linear(r"blocks\.(\d+)\.mlp_tokens\.(fc\d)", r"block_\1_token_\2"),
    *linear(r"blocks\.(\d+)\.mlp_channels\.(fc\d)", r"block_\1_channel_\2"),
    *layer_norm("norm", "norm"),
    *linear("head", "predictions"),
]

SOURCES = [
    Source(
        "timm_mixer",
        family="Mixer",
        marker="blocks.0.mlp_tokens.fc1.weight",
        head="head.bias",
        table=STATE_DICT,
        hyperparameters={"gelu": "erf"},
    )
]
