"""State dicts of the released ShiftViT code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, linear, norm, official_as_mlp

_BLOCK, _OURS = "layers.#.blocks.#", "stage_#_block_#"
STATE_DICT = [
    *official_as_mlp.stems(""),
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
