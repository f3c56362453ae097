"""State dicts of the released MS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import (
    Row,
    Source,
    as_is,
    conv2d,
    depthwise,
    layer_norm,
    linear,
)

_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stage_\1_block_\2"


def _stem(theirs: str, stage: int) -> list[Row]:
    return [
        *conv2d(rf"{theirs}\.proj", f"stage_{stage}_stem"),
        *layer_norm(rf"{theirs}\.norm", f"stage_{stage}_stem_norm"),
    ]


def _branch(theirs: str, ours: str) -> list[Row]:
    """The rows of the depthwise convolutions along one axis."""
    return [
        (rf"{_BLOCK}\.{theirs}\.(\d+)\.weight", rf"{_OURS}_mix_shift/{ours}_\3_kernel", depthwise),
        (rf"{_BLOCK}\.{theirs}\.(\d+)\.bias", rf"{_OURS}_mix_shift/{ours}_\3_bias", as_is),
    ]


STATE_DICT = [
    *_stem("patch_embed", 0),
    # A stage's downsampling is the stem of the next; a pattern can't count, so each has its rows.
    *(row for stage in range(16) for row in _stem(rf"layers\.{stage}\.downsample", stage + 1)),
    (rf"{_BLOCK}\.gamma", f"{_OURS}_layer_scale/gamma", as_is),
    *_branch("dwconv_lr", "horizontal"),
    *_branch("dwconv_td", "vertical"),
    *layer_norm(rf"{_BLOCK}\.norm", f"{_OURS}_norm"),
    *linear(rf"{_BLOCK}\.pwconv(\d)", rf"{_OURS}_channel_fc\3"),
    *layer_norm("norm", "pooled_norm"),
    *linear("head", "predictions"),
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
