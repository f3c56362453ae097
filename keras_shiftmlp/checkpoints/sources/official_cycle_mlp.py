"""State dicts of the released CycleMLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, conv2d, linear, norm, row, split_attention


def _block(theirs, ours):
    """The rows of the blocks of one stage."""
    return [
        *norm(f"{theirs}.norm1", f"{ours}_spatial_norm"),
        # In the code, `sfc_h` reads along the width and `sfc_w` along the height.
        *linear(f"{theirs}.attn.sfc_h", f"{ours}_spatial_width"),
        *linear(f"{theirs}.attn.sfc_w", f"{ours}_spatial_height"),
        # `CycleFC` computes the distances.
        row(f"{theirs}.attn.sfc_h.offset", None),
        row(f"{theirs}.attn.sfc_w.offset", None),
        *linear(f"{theirs}.attn.mlp_c", f"{ours}_spatial_channel"),
        *split_attention(f"{theirs}.attn.reweight", f"{ours}_spatial_attention"),
        *linear(f"{theirs}.attn.proj", f"{ours}_spatial_project"),
        *norm(f"{theirs}.norm2", f"{ours}_channel_norm"),
        *linear(f"{theirs}.mlp.fc#", f"{ours}_channel_fc#"),
    ]


def _stage(stage):
    """The rows of a stage and of the layer before it; both count as modules of `network`."""
    stem = "patch_embed" if stage == 0 else f"network.{2 * stage - 1}"
    return [
        *conv2d(f"{stem}.proj", f"stage_{stage}_stem"),
        *_block(f"network.{2 * stage}.#", f"stage_{stage}_block_#"),
    ]


STATE_DICT = [
    *(row for stage in range(8) for row in _stage(stage)),
    *norm("norm", "norm"),
    *linear("head", "predictions"),
]

MARKER = "network.0.0.attn.sfc_h.weight"
SOURCES = [Source("official_cycle_mlp", family="CycleMLP", marker=MARKER, table=STATE_DICT)]
