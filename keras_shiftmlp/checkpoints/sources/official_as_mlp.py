"""State dicts of the released AS-MLP code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, conv2d, linear, norm, of_block


def stems(reduction):
    """The rows before each stage: the patches, then the layers that the files put after a stage.

    Args:
        reduction: What follows `stage_<s>_stem` in the name of a later stem's product.
    """
    rows = [
        *conv2d("patch_embed.proj", "stage_0_stem"),
        *norm("patch_embed.norm", "stage_0_stem_norm"),
    ]
    for stage in range(16):
        theirs, ours = f"layers.{stage}.downsample", f"stage_{stage + 1}_stem"
        rows += norm(f"{theirs}.norm", f"{ours}_norm")
        rows += conv2d(f"{theirs}.reduction", f"{ours}{reduction}")
    return rows


_BLOCK, _OURS = "layers.#.blocks.#", "stage_#_block_#"
STATE_DICT = [
    *stems("_reduction"),
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
