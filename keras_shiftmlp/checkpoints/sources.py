"""The foreign checkpoint formats we know, told apart by the names of their tensors."""

import dataclasses

from keras_shiftmlp.checkpoints.keys import (
    google_mixer,
    jittor_s2_mlp,
    official_ms_mlp,
    timm_mixer,
)
from keras_shiftmlp.checkpoints.port import Row


@dataclasses.dataclass(frozen=True)
class Source:
    """One layout of tensors: whose it is, which family it fills and how to know it."""

    name: str
    family: str
    marker: str  # a key that no other layout has
    head: str  # the classifier's bias: its length is the number of classes
    table: list[Row]
    gelu: str = "erf"


SOURCES = [
    Source(
        "google_mixer",
        "Mixer",
        "MixerBlock_0/token_mixing/Dense_0/kernel",
        "head/bias",
        google_mixer.FLAX,
        gelu="tanh",
    ),
    Source(
        "google_mixer_before_linen",
        "Mixer",
        "Mixer/encoderblock_0/token_mixing_phase_0/kernel1",
        "head/bias",
        google_mixer.FLAX_BEFORE_LINEN,
        gelu="tanh",
    ),
    Source(
        "timm_mixer",
        "Mixer",
        "blocks.0.mlp_tokens.fc1.weight",
        "head.bias",
        timm_mixer.STATE_DICT,
    ),
    Source(
        "official_ms_mlp",
        "MSMLP",
        "layers.0.blocks.0.dwconv_lr.0.weight",
        "head.bias",
        official_ms_mlp.STATE_DICT,
    ),
    Source(
        "jittor_s2_mlp",
        "S2MLP",
        "stages.0.1.model.0.0.fn.0.weight",
        "mlp_head.1.bias",
        jittor_s2_mlp.V1,
    ),
    Source(
        "jittor_s2_mlp_v2",
        "S2MLPv2",
        "stages.0.1.model.0.0.fn.mlp1.weight",
        "mlp_head.1.bias",
        jittor_s2_mlp.V2,
    ),
]


def recognise(keys, received: str) -> Source:
    """The layout that `keys` are in.

    Raises:
        ValueError: Where it is none of ours.
    """
    for source in SOURCES:
        if source.marker in keys:
            return source
    raise ValueError(
        f"`weights` must be a file of one of these layouts: "
        f"{', '.join(source.name for source in SOURCES)}. "
        f"Received: `weights={received!r}` with the keys {sorted(keys)[:5]}..."
    )
