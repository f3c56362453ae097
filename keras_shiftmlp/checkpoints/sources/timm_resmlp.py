"""timm's ResMLP state dicts (`.pth`, `.safetensors`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

_BLOCK = r"blocks\.(\d+)"
# The scales and offsets of the affine layers have the shape (1, 1, C).
STATE_DICT = [
    (r"stem\.proj\.weight", "stem/kernel", conv),
    (r"stem\.proj\.bias", "stem/bias", as_is),
    (rf"{_BLOCK}\.norm1\.(alpha|beta)", r"block_\1_token_norm/\2", as_is),
    (rf"{_BLOCK}\.norm2\.(alpha|beta)", r"block_\1_channel_norm/\2", as_is),
    (rf"{_BLOCK}\.linear_tokens\.weight", r"block_\1_token/kernel", dense),
    (rf"{_BLOCK}\.linear_tokens\.bias", r"block_\1_token/bias", as_is),
    (rf"{_BLOCK}\.mlp_channels\.(fc\d)\.weight", r"block_\1_channel_\2/kernel", dense),
    (rf"{_BLOCK}\.mlp_channels\.(fc\d)\.bias", r"block_\1_channel_\2/bias", as_is),
    (rf"{_BLOCK}\.ls1", r"block_\1_token_layer_scale/gamma", as_is),
    (rf"{_BLOCK}\.ls2", r"block_\1_channel_layer_scale/gamma", as_is),
    (r"norm\.(alpha|beta)", r"norm/\1", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "timm_resmlp",
        family="ResMLP",
        marker="blocks.0.linear_tokens.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
