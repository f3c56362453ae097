"""Google's Mixer files (`.npz`), in flax's names and in the older ones before flax linen."""

from keras_shiftmlp.checkpoints.sources import Source, as_is

_BLOCK = r"MixerBlock_(\d+)"
FLAX = [
    (r"stem/(kernel|bias)", r"stem/\1", as_is),
    (rf"{_BLOCK}/LayerNorm_0/scale", r"block_\1_token_norm/gamma", as_is),
    (rf"{_BLOCK}/LayerNorm_0/bias", r"block_\1_token_norm/beta", as_is),
    (rf"{_BLOCK}/LayerNorm_1/scale", r"block_\1_channel_norm/gamma", as_is),
    (rf"{_BLOCK}/LayerNorm_1/bias", r"block_\1_channel_norm/beta", as_is),
    (rf"{_BLOCK}/(token|channel)_mixing/Dense_0/(kernel|bias)", r"block_\1_\2_fc1/\3", as_is),
    (rf"{_BLOCK}/(token|channel)_mixing/Dense_1/(kernel|bias)", r"block_\1_\2_fc2/\3", as_is),
    (r"pre_head_layer_norm/scale", "norm/gamma", as_is),
    (r"pre_head_layer_norm/bias", "norm/beta", as_is),
    (r"head/(kernel|bias)", r"predictions/\1", as_is),
]

_BLOCK = r"Mixer/encoderblock_(\d+)"
_PHASE = rf"{_BLOCK}/(token|channel)_mixing_phase_0"
FLAX_BEFORE_LINEN = [
    (r"embedding/(kernel|bias)", r"stem/\1", as_is),
    (rf"{_BLOCK}/LayerNorm_0/scale", r"block_\1_token_norm/gamma", as_is),
    (rf"{_BLOCK}/LayerNorm_0/bias", r"block_\1_token_norm/beta", as_is),
    # The second norm is numbered per class in some files, over all submodules in others.
    (rf"{_BLOCK}/LayerNorm_[12]/scale", r"block_\1_channel_norm/gamma", as_is),
    (rf"{_BLOCK}/LayerNorm_[12]/bias", r"block_\1_channel_norm/beta", as_is),
    (rf"{_PHASE}/(kernel|bias)(\d)", r"block_\1_\2_fc\4/\3", as_is),
    (r"Mixer/encoder_norm/scale", "norm/gamma", as_is),
    (r"Mixer/encoder_norm/bias", "norm/beta", as_is),
    (r"head/(kernel|bias)", r"predictions/\1", as_is),
]

SOURCES = [
    Source(
        "google_mixer",
        family="Mixer",
        marker="MixerBlock_0/token_mixing/Dense_0/kernel",
        head="head/bias",
        table=FLAX,
        hyperparameters={"gelu": "tanh"},
    ),
    Source(
        "google_mixer_before_linen",
        family="Mixer",
        marker="Mixer/encoderblock_0/token_mixing_phase_0/kernel1",
        head="head/bias",
        table=FLAX_BEFORE_LINEN,
        hyperparameters={"gelu": "tanh"},
    ),
]
