"""timm's Mixer state dicts (`.pth`, `.safetensors`)."""

import numpy as np

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

STATE_DICT = [
    (r"stem\.proj\.weight", "stem/kernel", conv),
    (r"stem\.proj\.bias", "stem/bias", as_is),
    (r"blocks\.(\d+)\.norm1\.weight", r"block_\1_token_norm/gamma", as_is),
    (r"blocks\.(\d+)\.norm1\.bias", r"block_\1_token_norm/beta", as_is),
    (r"blocks\.(\d+)\.norm2\.weight", r"block_\1_channel_norm/gamma", as_is),
    (r"blocks\.(\d+)\.norm2\.bias", r"block_\1_channel_norm/beta", as_is),
    (r"blocks\.(\d+)\.mlp_tokens\.(fc\d)\.weight", r"block_\1_token_\2/kernel", dense),
    (r"blocks\.(\d+)\.mlp_tokens\.(fc\d)\.bias", r"block_\1_token_\2/bias", as_is),
    (r"blocks\.(\d+)\.mlp_channels\.(fc\d)\.weight", r"block_\1_channel_\2/kernel", dense),
    (r"blocks\.(\d+)\.mlp_channels\.(fc\d)\.bias", r"block_\1_channel_\2/bias", as_is),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]


def is_gated(arrays):
    """Whether the MLPs are those of gMixer: the gate halves what the second layer takes."""
    fc1, fc2 = (np.shape(arrays.get(f"blocks.0.mlp_tokens.fc{i}.weight")) for i in (1, 2))
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
