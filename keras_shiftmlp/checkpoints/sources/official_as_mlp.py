"""State dicts of the released AS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense

_BLOCK = r"layers\.(\d+)\.blocks\.(\d+)"
_OURS = r"stage_\1_block_\2"


def _norm(theirs, ours):
    return [
        (rf"{theirs}\.weight", f"{ours}/gamma", as_is),
        (rf"{theirs}\.bias", f"{ours}/beta", as_is),
    ]


def _convolution(theirs, ours):
    """The rows of a convolution; a 1 x 1 kernel `(1, 1, in, out)` fills a dense one."""
    return [
        (rf"{theirs}\.weight", f"{ours}/kernel", conv),
        (rf"{theirs}\.bias", f"{ours}/bias", as_is),
    ]


# A stage's downsampling is the stem of the next. A pattern does not add 1, so each has its rows.
_DOWNSAMPLE = [
    row
    for stage in range(16)
    for row in (
        *_norm(rf"layers\.{stage}\.downsample\.norm", f"stage_{stage + 1}_stem_norm"),
        *_convolution(
            rf"layers\.{stage}\.downsample\.reduction", f"stage_{stage + 1}_stem_reduction"
        ),
    )
]

STATE_DICT = [
    *_convolution(r"patch_embed\.proj", "stage_0_stem"),
    *_norm(r"patch_embed\.norm", "stage_0_stem_norm"),
    *_DOWNSAMPLE,
    *_norm(rf"{_BLOCK}\.norm1", rf"{_OURS}_spatial_norm"),
    *_convolution(rf"{_BLOCK}\.axial_shift\.conv1", rf"{_OURS}_spatial_fc1"),
    *_norm(rf"{_BLOCK}\.axial_shift\.norm1", rf"{_OURS}_spatial_fc1_norm"),
    *_convolution(rf"{_BLOCK}\.axial_shift\.conv2_1", rf"{_OURS}_spatial_horizontal_fc"),
    *_convolution(rf"{_BLOCK}\.axial_shift\.conv2_2", rf"{_OURS}_spatial_vertical_fc"),
    *_norm(rf"{_BLOCK}\.axial_shift\.norm2", rf"{_OURS}_spatial_sum_norm"),
    *_convolution(rf"{_BLOCK}\.axial_shift\.conv3", rf"{_OURS}_spatial_fc2"),
    *_norm(rf"{_BLOCK}\.norm2", rf"{_OURS}_channel_norm"),
    *_convolution(rf"{_BLOCK}\.mlp\.(fc\d)", rf"{_OURS}_channel_\3"),
    *_norm("norm", "norm"),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_as_mlp",
        family="ASMLP",
        marker="layers.0.blocks.0.axial_shift.conv1.weight",
        head="head.bias",
        table=STATE_DICT,
    )
]
