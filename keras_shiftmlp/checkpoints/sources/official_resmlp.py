"""State dicts of the released ResMLP code (`.pth`)."""

from keras_shiftmlp.checkpoints.sources import Source, affine, conv2d, linear, row

STATE_DICT = [
    *conv2d("patch_embed.proj", "stem"),
    *affine("blocks.#.norm1", "block_#_token_norm"),
    *affine("blocks.#.norm2", "block_#_channel_norm"),
    *linear("blocks.#.attn", "block_#_token"),
    *linear("blocks.#.mlp.fc#", "block_#_channel_fc#"),
    row("blocks.#.gamma_1", "block_#_token_layer_scale/gamma"),
    row("blocks.#.gamma_2", "block_#_channel_layer_scale/gamma"),
    *affine("norm", "norm"),
    *linear("head", "predictions"),
]

MARKER = "blocks.0.attn.weight"
SOURCES = [Source("official_resmlp", family="ResMLP", marker=MARKER, table=STATE_DICT)]
