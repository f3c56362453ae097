"""State dicts of the released MS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, conv2d, depthwise, linear, norm, row


def _stem(theirs, stage):
    return [
        *conv2d(f"{theirs}.proj", f"stage_{stage}_stem"),
        *norm(f"{theirs}.norm", f"stage_{stage}_stem_norm"),
    ]


def _branch(theirs, ours):
    """The rows of the depthwise convolutions along one axis."""
    theirs, ours = f"{_BLOCK}.{theirs}.#", f"{_OURS}_mix_shift/{ours}_#"
    return [
        row(f"{theirs}.weight", f"{ours}_kernel", depthwise),
        row(f"{theirs}.bias", f"{ours}_bias"),
    ]


_BLOCK, _OURS = "layers.#.blocks.#", "stage_#_block_#"
STATE_DICT = [
    *_stem("patch_embed", 0),
    # Here, the downsampling after a stage is the stem of the next stage.
    *(row for stage in range(16) for row in _stem(f"layers.{stage}.downsample", stage + 1)),
    row(f"{_BLOCK}.gamma", f"{_OURS}_layer_scale/gamma"),
    *_branch("dwconv_lr", "horizontal"),
    *_branch("dwconv_td", "vertical"),
    *norm(f"{_BLOCK}.norm", f"{_OURS}_norm"),
    *linear(f"{_BLOCK}.pwconv#", f"{_OURS}_channel_fc#"),
    *norm("norm", "pooled_norm"),
    *linear("head", "predictions"),
]

MARKER = "layers.0.blocks.0.dwconv_lr.0.weight"
SOURCES = [Source("official_ms_mlp", family="MSMLP", marker=MARKER, table=STATE_DICT)]
