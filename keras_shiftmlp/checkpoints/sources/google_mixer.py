"""Google's Mixer files (`.npz`), in flax's names and in the older ones before flax linen."""

from keras_shiftmlp.checkpoints.sources import Row, Source, as_is


def _norm(theirs: str, ours: str) -> list[Row]:
    return [
        (f"{theirs}/scale", rf"{ours}/gamma", as_is),
        (f"{theirs}/bias", rf"{ours}/beta", as_is),
    ]


_BLOCK = r"MixerBlock_(\d+)"
FLAX = [
    (r"stem/(kernel|bias)", r"stem/\1", as_is),
    *_norm(f"{_BLOCK}/LayerNorm_0", r"block_\1_token_norm"),
    *_norm(f"{_BLOCK}/LayerNorm_1", r"block_\1_channel_norm"),
    (rf"{_BLOCK}/(token|channel)_mixing/Dense_0/(kernel|bias)", r"block_\1_\2_fc1/\3", as_is),
    (rf"{_BLOCK}/(token|channel)_mixing/Dense_1/(kernel|bias)", r"block_\1_\2_fc2/\3", as_is),
    *_norm("pre_head_layer_norm", "norm"),
    (r"head/(kernel|bias)", r"predictions/\1", as_is),
]

_BLOCK = r"Mixer/encoderblock_(\d+)"
FLAX_BEFORE_LINEN = [
    (r"embedding/(kernel|bias)", r"stem/\1", as_is),
    *_norm(f"{_BLOCK}/LayerNorm_0", r"block_\1_token_norm"),
    # The second norm is numbered per class in some files, over all submodules in others.
    *_norm(f"{_BLOCK}/LayerNorm_[12]", r"block_\1_channel_norm"),
    (
        rf"{_BLOCK}/(token|channel)_mixing_phase_0/(kernel|bias)(\d)",
        r"block_\1_\2_fc\4/\3",
        as_is,
    ),
    *_norm("Mixer/encoder_norm", "norm"),
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
