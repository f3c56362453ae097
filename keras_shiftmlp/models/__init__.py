"""The networks: one family a file."""

from keras_shiftmlp.models._registry import get_model, list_models
from keras_shiftmlp.models.image_model import ImageModel
from keras_shiftmlp.models.mixer import (
    Mixer,
    MixerB16,
    MixerB32,
    MixerH14,
    MixerL16,
    MixerL32,
    MixerNano,
    MixerS8,
    MixerS16,
    MixerS32,
)
from keras_shiftmlp.models.ms_mlp import MSMLP, MSMLPBase, MSMLPNano, MSMLPSmall, MSMLPTiny
from keras_shiftmlp.models.s2_mlp import S2MLP, S2MLPDeep, S2MLPNano, S2MLPWide
from keras_shiftmlp.models.s2_mlp_v2 import (
    S2MLPv2,
    S2MLPv2Medium,
    S2MLPv2Nano,
    S2MLPv2Small,
    S2MLPv2Small14,
)

__all__ = [
    "MSMLP",
    "S2MLP",
    "ImageModel",
    "MSMLPBase",
    "MSMLPNano",
    "MSMLPSmall",
    "MSMLPTiny",
    "Mixer",
    "MixerB16",
    "MixerB32",
    "MixerH14",
    "MixerL16",
    "MixerL32",
    "MixerNano",
    "MixerS8",
    "MixerS16",
    "MixerS32",
    "S2MLPDeep",
    "S2MLPNano",
    "S2MLPWide",
    "S2MLPv2",
    "S2MLPv2Medium",
    "S2MLPv2Nano",
    "S2MLPv2Small",
    "S2MLPv2Small14",
    "get_model",
    "list_models",
]
