"""timm's gMLP state dicts (`.pth`, `.safetensors`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

_BLOCK = r"blocks\.(\d+)"
_GATE = rf"{_BLOCK}\.mlp_channels\.gate"
STATE_DICT = [
    (r"stem\.proj\.weight", "stem/kernel", conv),
    (r"stem\.proj\.bias", "stem/bias", as_is),
    (rf"{_BLOCK}\.norm\.weight", r"block_\1_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm\.bias", r"block_\1_norm/beta", as_is),
    (rf"{_BLOCK}\.mlp_channels\.(fc\d)\.weight", r"block_\1_channel_\2/kernel", dense),
    (rf"{_BLOCK}\.mlp_channels\.(fc\d)\.bias", r"block_\1_channel_\2/bias", as_is),
    (rf"{_GATE}\.norm\.weight", r"block_\1_spatial/norm/gamma", as_is),
    (rf"{_GATE}\.norm\.bias", r"block_\1_spatial/norm/beta", as_is),
    (rf"{_GATE}\.proj\.weight", r"block_\1_spatial/project/kernel", dense),
    (rf"{_GATE}\.proj\.bias", r"block_\1_spatial/project/bias", as_is),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "timm_gmlp",
        family="GMLP",
        marker="blocks.0.mlp_channels.gate.proj.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
