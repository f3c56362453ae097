"""timm's gMixer state dicts (`.pth`, `.safetensors`), with the keys of its Mixer."""

from keras_shiftmlp.checkpoints.sources import Source
from keras_shiftmlp.checkpoints.sources.timm_mixer import STATE_DICT, is_gated

SOURCES = [
    Source(
        "timm_gmixer",
        family="GMixer",
        marker="blocks.0.mlp_tokens.fc1.weight",
        head="head.bias",
        table=STATE_DICT,
        condition=is_gated,
    )
]
