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


def is_gated(arrays):
    """Whether the MLPs are those of gMixer: the gate halves what the second layer takes."""
    weights = (arrays.get(f"blocks.0.mlp_tokens.fc{i}.weight") for i in (1, 2))
    fc1, fc2 = (() if weight is None else weight.shape for weight in weights)
    return fc1[:1] == tuple(2 * size for size in fc2[1:])


SOURCES = [
    Source(
        "timm_mixer",
        family="Mixer",
        marker="blocks.0.mlp_tokens.fc1.weight",
        head="head.bias",
        table=STATE_DICT,
        hyperparameters={"gelu": "erf"},
        condition=lambda arrays: not is_gated(arrays),
    )
]
