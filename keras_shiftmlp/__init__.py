"""Vision MLPs for Keras 3: MLP-Mixer, S2-MLP, S2-MLPv2 and MS-MLP on every backend."""

import importlib

from keras_shiftmlp.registration import register

__version__ = "0.1.0"

# Public name -> the module it lives in, imported on first use: Keras alone takes seconds.
_MODULES = {
    **dict.fromkeys(
        ["export", "layers", "models", "preprocessing", "training", "visualization"], None
    ),
    **dict.fromkeys(
        [
            "ImageModel", "MSMLP", "MSMLPBase", "MSMLPNano", "MSMLPSmall", "MSMLPTiny", "Mixer",
            "MixerB16", "MixerB32", "MixerH14", "MixerL16", "MixerL32", "MixerNano", "MixerS16",
            "MixerS32", "MixerS8", "S2MLP", "S2MLPDeep", "S2MLPNano", "S2MLPWide", "S2MLPv2",
            "S2MLPv2Medium", "S2MLPv2Nano", "S2MLPv2Small", "S2MLPv2Small14", "get_model",
            "list_models",
        ],
        "models",
    ),
    **dict.fromkeys(
        ["decode_predictions", "eval_transform", "preprocess_input"], "preprocessing"
    ),
    **dict.fromkeys(["WeightsNotAvailableError", "list_weights", "weights_info"], "checkpoints"),
    "count_macs": "models.macs",
    **dict.fromkeys(
        ["enable_lora", "feature_extractor", "merge_lora", "rematerialize"], "finetuning"
    ),
}  # fmt: skip

__all__ = sorted(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name] or name}")
    value = getattr(module, name) if _MODULES[name] else module
    globals()[name] = value
    return value


def __dir__():
    return [*globals(), *__all__]


register()
