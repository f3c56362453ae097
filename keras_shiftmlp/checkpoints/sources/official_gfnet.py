"""State dicts of the released GFNet code (`.pth`, under `model`), of GFNet and of the pyramid."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense


def _block(theirs, ours):
    return [
        (rf"{theirs}\.norm1\.weight", rf"{ours}_spatial_norm/gamma", as_is),
        (rf"{theirs}\.norm1\.bias", rf"{ours}_spatial_norm/beta", as_is),
        (rf"{theirs}\.filter\.complex_weight", rf"{ours}_spatial/complex_weight", as_is),
        (rf"{theirs}\.norm2\.weight", rf"{ours}_channel_norm/gamma", as_is),
        (rf"{theirs}\.norm2\.bias", rf"{ours}_channel_norm/beta", as_is),
        (rf"{theirs}\.mlp\.fc1\.weight", rf"{ours}_channel_fc1/kernel", dense),
        (rf"{theirs}\.mlp\.fc1\.bias", rf"{ours}_channel_fc1/bias", as_is),
        (rf"{theirs}\.mlp\.fc2\.weight", rf"{ours}_channel_fc2/kernel", dense),
        (rf"{theirs}\.mlp\.fc2\.bias", rf"{ours}_channel_fc2/bias", as_is),
    ]


_END = [
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]
STATE_DICT = [
    (r"patch_embed\.proj\.weight", "stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stem/bias", as_is),
    (r"pos_embed", "stem_position/embedding", as_is),
    *_block(r"blocks\.(\d+)", r"block_\1"),
    *_END,
]
PYRAMID = [
    (r"patch_embed\.(\d+)\.proj\.weight", r"stage_\1_stem/kernel", conv),
    (r"patch_embed\.(\d+)\.proj\.bias", r"stage_\1_stem/bias", as_is),
    (r"pos_embed", "stage_0_stem_position/embedding", as_is),
    *_block(r"blocks\.(\d+)\.(\d+)", r"stage_\1_block_\2"),
    (r"blocks\.(\d+)\.(\d+)\.gamma", r"stage_\1_block_\2_layer_scale/gamma", as_is),
    *_END,
]

SOURCES = [
    Source(
        "official_gfnet",
        family="GFNet",
        marker="blocks.0.filter.complex_weight",
        head="head.bias",
        table=STATE_DICT,
    ),
    Source(
        "official_gfnet_h",
        family="GFNetH",
        marker="blocks.0.0.filter.complex_weight",
        head="head.bias",
        table=PYRAMID,
    ),
]
