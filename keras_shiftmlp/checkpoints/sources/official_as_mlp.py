"""State dicts of the released AS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, conv2d, linear, norm, of_block


def _downsampling(stage):
    """The rows of the layers after a stage; here they are the stem of the next stage."""
    theirs, ours = f"layers.{stage}.downsample", f"stage_{stage + 1}_stem"
    return [
        *norm(f"{theirs}.norm", f"{ours}_norm"),
        *conv2d(f"{theirs}.reduction", f"{ours}_reduction"),
    ]


_BLOCK, _OURS = "layers.#.blocks.#", "stage_#_block_#"
STATE_DICT = [
    *conv2d("patch_embed.proj", "stage_0_stem"),
    *norm("patch_embed.norm", "stage_0_stem_norm"),
    *(row for stage in range(16) for row in _downsampling(stage)),
    *of_block(_BLOCK, _OURS),
    *linear(f"{_BLOCK}.axial_shift.conv1", f"{_OURS}_spatial_fc1"),
    *norm(f"{_BLOCK}.axial_shift.norm1", f"{_OURS}_spatial_fc1_norm"),
    *linear(f"{_BLOCK}.axial_shift.conv2_1", f"{_OURS}_spatial_horizontal_fc"),
    *linear(f"{_BLOCK}.axial_shift.conv2_2", f"{_OURS}_spatial_vertical_fc"),
    *norm(f"{_BLOCK}.axial_shift.norm2", f"{_OURS}_spatial_sum_norm"),
    *linear(f"{_BLOCK}.axial_shift.conv3", f"{_OURS}_spatial_fc2"),
    *END,
]

MARKER = "layers.0.blocks.0.axial_shift.conv1.weight"
SOURCES = [Source("official_as_mlp", family="ASMLP", marker=MARKER, table=STATE_DICT)]
