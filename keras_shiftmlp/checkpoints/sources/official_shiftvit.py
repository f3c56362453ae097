"""State dicts of the released ShiftViT code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, conv2d, linear, norm, official_as_mlp


def _downsampling(stage):
    """The rows of the layers after a stage; here they are the stem of the next stage."""
    theirs, ours = f"layers.{stage}.downsample", f"stage_{stage + 1}_stem"
    return [*norm(f"{theirs}.norm", f"{ours}_norm"), *conv2d(f"{theirs}.reduction", ours)]


_BLOCK, _OURS = "layers.#.blocks.#", "stage_#_block_#"
STATE_DICT = [
    *conv2d("patch_embed.proj", "stage_0_stem"),
    *norm("patch_embed.norm", "stage_0_stem_norm"),
    *(row for stage in range(16) for row in _downsampling(stage)),
    *norm(f"{_BLOCK}.norm2", f"{_OURS}_norm"),
    *linear(f"{_BLOCK}.mlp.fc#", f"{_OURS}_channel_fc#"),
    *END,
]

SOURCES = [
    Source(
        "official_shiftvit",
        family="ShiftViT",
        marker="layers.0.blocks.0.norm2.weight",
        table=STATE_DICT,
        # AS-MLP's files have all keys of these, and more.
        condition=lambda arrays: official_as_mlp.MARKER not in arrays,
    )
]
