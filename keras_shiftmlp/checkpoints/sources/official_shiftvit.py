"""State dicts of the released ShiftViT code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stage_\1_block_\2"
# A stage's downsampling is the stem of the next. A pattern does not add 1, so each has its rows.
_DOWNSAMPLE = [
    row
    for stage in range(16)
    for theirs, ours in [(rf"layers\.{stage}\.downsample", f"stage_{stage + 1}_stem")]
    for row in (
        (rf"{theirs}\.norm\.weight", f"{ours}_norm/gamma", as_is),
        (rf"{theirs}\.norm\.bias", f"{ours}_norm/beta", as_is),
        (rf"{theirs}\.reduction\.weight", f"{ours}/kernel", conv),
    )
]

STATE_DICT = [
    (r"patch_embed\.proj\.weight", "stage_0_stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stage_0_stem/bias", as_is),
    (r"patch_embed\.norm\.weight", "stage_0_stem_norm/gamma", as_is),
    (r"patch_embed\.norm\.bias", "stage_0_stem_norm/beta", as_is),
    *_DOWNSAMPLE,
    (rf"{_BLOCK}\.norm2\.weight", rf"{_OURS}_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm2\.bias", rf"{_OURS}_norm/beta", as_is),
    # The kernel of a 1 x 1 convolution, `(1, 1, in, out)`, fills a dense one.
    (rf"{_BLOCK}\.mlp\.(fc\d)\.weight", rf"{_OURS}_channel_\3/kernel", conv),
    (rf"{_BLOCK}\.mlp\.(fc\d)\.bias", rf"{_OURS}_channel_\3/bias", as_is),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_shiftvit",
        family="ShiftViT",
        marker="layers.0.blocks.0.norm2.weight",
        head="head.bias",
        table=STATE_DICT,
        # AS-MLP's files have all keys of these, and more.
        condition=lambda arrays: "layers.0.blocks.0.axial_shift.conv1.weight" not in arrays,
    )
]
