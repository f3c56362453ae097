"""timm's Mixer state dicts (`.pth`, `.safetensors`)."""

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

SOURCES = [
    Source(
        "timm_mixer",
        family="Mixer",
        marker="blocks.0.mlp_tokens.fc1.weight",
        head="head.bias",
        table=STATE_DICT,
        hyperparameters={"gelu": "erf"},
    )
]
