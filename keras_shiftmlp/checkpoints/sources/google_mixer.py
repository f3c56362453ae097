"""Google's Mixer files (`.npz`), in flax's names and in the older ones before flax linen."""

from keras_shiftmlp.checkpoints.sources import Source, row


def _layer(theirs, ours):
    """The rows of a layer; flax has Keras's shapes."""
    return [row(f"{theirs}/{name}", f"{ours}/{name}") for name in ("kernel", "bias")]


def _norm(theirs, ours):
    return [row(f"{theirs}/scale", f"{ours}/gamma"), row(f"{theirs}/bias", f"{ours}/beta")]


FLAX = [
    *_layer("stem", "stem"),
    *_norm("MixerBlock_#/LayerNorm_0", "block_#_token_norm"),
    *_norm("MixerBlock_#/LayerNorm_1", "block_#_channel_norm"),
    *_layer("MixerBlock_#/token_mixing/Dense_0", "block_#_token_fc1"),
    *_layer("MixerBlock_#/token_mixing/Dense_1", "block_#_token_fc2"),
    *_layer("MixerBlock_#/channel_mixing/Dense_0", "block_#_channel_fc1"),
    *_layer("MixerBlock_#/channel_mixing/Dense_1", "block_#_channel_fc2"),
    *_norm("pre_head_layer_norm", "norm"),
    *_layer("head", "predictions"),
]

_BLOCK = "Mixer/encoderblock_#"
FLAX_BEFORE_LINEN = [
    *_layer("embedding", "stem"),
    *_norm(f"{_BLOCK}/LayerNorm_0", "block_#_token_norm"),
    # The second norm is numbered per class in some files, over all submodules in others.
    *_norm(f"{_BLOCK}/LayerNorm_1", "block_#_channel_norm"),
    *_norm(f"{_BLOCK}/LayerNorm_2", "block_#_channel_norm"),
    *(
        row(f"{_BLOCK}/{half}_mixing_phase_0/{name}#", f"block_#_{half}_fc#/{name}")
        for half in ("token", "channel")
        for name in ("kernel", "bias")
    ),
    *_norm("Mixer/encoder_norm", "norm"),
    *_layer("head", "predictions"),
]

SOURCES = [
    Source(
        "google_mixer",
        family="Mixer",
        marker="MixerBlock_0/token_mixing/Dense_0/kernel",
        table=FLAX,
        hyperparameters={"gelu": "tanh"},
    ),
    Source(
        "google_mixer_before_linen",
        family="Mixer",
        marker="Mixer/encoderblock_0/token_mixing_phase_0/kernel1",
        table=FLAX_BEFORE_LINEN,
        hyperparameters={"gelu": "tanh"},
    ),
]
