"""State dicts of the released MS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense, depthwise

_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stage_\1_block_\2"
# A stage's downsampling is the stem of the next; a pattern can't count, so each has its rows.
_DOWNSAMPLE = [
    row
    for stage in range(16)
    for row in (
        (rf"layers\.{stage}\.downsample\.proj\.weight", f"stage_{stage + 1}_stem/kernel", conv),
        (rf"layers\.{stage}\.downsample\.proj\.bias", f"stage_{stage + 1}_stem/bias", as_is),
        (
            rf"layers\.{stage}\.downsample\.norm\.weight",
            f"stage_{stage + 1}_stem_norm/gamma",
            as_is,
        ),
        (rf"layers\.{stage}\.downsample\.norm\.bias", f"stage_{stage + 1}_stem_norm/beta", as_is),
    )
]

STATE_DICT = [
    (r"patch_embed\.proj\.weight", "stage_0_stem/kernel", conv),
    (r"patch_embed\.proj\.bias", "stage_0_stem/bias", as_is),
    (r"patch_embed\.norm\.weight", "stage_0_stem_norm/gamma", as_is),
    (r"patch_embed\.norm\.bias", "stage_0_stem_norm/beta", as_is),
    *_DOWNSAMPLE,
    (rf"{_BLOCK}\.gamma", rf"{_OURS}_layer_scale/gamma", as_is),
    (rf"{_BLOCK}\.dwconv_lr\.(\d+)\.weight", rf"{_OURS}_mix_shift/horizontal_\3_kernel", depthwise),
    (rf"{_BLOCK}\.dwconv_lr\.(\d+)\.bias", rf"{_OURS}_mix_shift/horizontal_\3_bias", as_is),
    (rf"{_BLOCK}\.dwconv_td\.(\d+)\.weight", rf"{_OURS}_mix_shift/vertical_\3_kernel", depthwise),
    (rf"{_BLOCK}\.dwconv_td\.(\d+)\.bias", rf"{_OURS}_mix_shift/vertical_\3_bias", as_is),
    (rf"{_BLOCK}\.norm\.weight", rf"{_OURS}_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm\.bias", rf"{_OURS}_norm/beta", as_is),
    (rf"{_BLOCK}\.pwconv(\d)\.weight", rf"{_OURS}_channel_fc\3/kernel", dense),
    (rf"{_BLOCK}\.pwconv(\d)\.bias", rf"{_OURS}_channel_fc\3/bias", as_is),
    (r"norm\.weight", "pooled_norm/gamma", as_is),
    (r"norm\.bias", "pooled_norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_ms_mlp",
        family="MSMLP",
        marker="layers.0.blocks.0.dwconv_lr.0.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
