"""The two flavours of GELU that published checkpoints were trained with."""

import keras


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
def gelu_tanh(x):
    """GELU by its tanh approximation, flax's default: Google's Mixer files were trained with it."""
    return keras.activations.gelu(x, approximate=True)


# PyTorch's default is the exact form.
GELU = {"erf": keras.activations.gelu, "tanh": gelu_tanh}


def gelu_activation(flavour: str):
    """The activation function of a flavour: `"erf"` (exact) or `"tanh"`."""
    if flavour not in GELU:
        raise ValueError(f"`gelu` must be 'erf' or 'tanh'. Received: `gelu={flavour!r}`")
    return GELU[flavour]
