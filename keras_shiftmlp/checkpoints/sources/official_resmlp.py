"""State dicts of the released ResMLP code (`.pth`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

_BLOCK = r"blocks\.(\d+)"
STATE_DICT = [
    (r"patch_embed\.proj\.weight", "stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stem/bias", as_is),
    (rf"{_BLOCK}\.norm1\.(alpha|beta)", r"block_\1_token_norm/\2", as_is),
    (rf"{_BLOCK}\.norm2\.(alpha|beta)", r"block_\1_channel_norm/\2", as_is),
    (rf"{_BLOCK}\.attn\.weight", r"block_\1_token/kernel", dense),
    (rf"{_BLOCK}\.attn\.bias", r"block_\1_token/bias", as_is),
    (rf"{_BLOCK}\.mlp\.(fc\d)\.weight", r"block_\1_channel_\2/kernel", dense),
    (rf"{_BLOCK}\.mlp\.(fc\d)\.bias", r"block_\1_channel_\2/bias", as_is),
    (rf"{_BLOCK}\.gamma_1", r"block_\1_token_layer_scale/gamma", as_is),
    (rf"{_BLOCK}\.gamma_2", r"block_\1_channel_layer_scale/gamma", as_is),
    (r"norm\.(alpha|beta)", r"norm/\1", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_resmlp",
        family="ResMLP",
        marker="blocks.0.attn.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
