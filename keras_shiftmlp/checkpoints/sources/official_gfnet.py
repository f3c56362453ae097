"""State dicts of the released GFNet code (`.pth`, under `model`), of GFNet and of the pyramid."""

from keras_shiftmlp.checkpoints.sources import END, Source, conv2d, of_block, row


def _blocks(theirs, ours):
    """The rows of the blocks, and of the end of the network."""
    return [
        *of_block(theirs, ours),
        row(f"{theirs}.filter.complex_weight", f"{ours}_spatial/complex_weight"),
        *END,
    ]


STATE_DICT = [
    *conv2d("patch_embed.proj", "stem"),
    row("pos_embed", "stem_position/embedding"),
    *_blocks("blocks.#", "block_#"),
]
PYRAMID = [
    *conv2d("patch_embed.#.proj", "stage_#_stem"),
    row("pos_embed", "stage_0_stem_position/embedding"),
    *_blocks("blocks.#.#", "stage_#_block_#"),
    row("blocks.#.#.gamma", "stage_#_block_#_layer_scale/gamma"),
]

SOURCES = [
    Source("official_gfnet", "GFNet", marker="blocks.0.filter.complex_weight", table=STATE_DICT),
    Source("official_gfnet_h", "GFNetH", marker="blocks.0.0.filter.complex_weight", table=PYRAMID),
]
