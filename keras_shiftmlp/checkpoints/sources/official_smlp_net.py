"""State dicts of the released sMLPNet code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, conv2d, depthwise, linear, norm, row

_TOKEN, _CHANNEL, _OURS = "token_mix.#", "channel_mix.#", "block_#"
STATE_DICT = [
    *conv2d("to_patch_embedding.#.0", "stage_#_stem"),
    *norm(f"{_TOKEN}.0.conv_merge.BN", f"{_OURS}_local_norm"),
    row(f"{_TOKEN}.0.conv_merge.Conv.weight", f"{_OURS}_local_conv/kernel", depthwise),
    *norm(f"{_TOKEN}.1.BN", f"{_OURS}_spatial_norm"),
    # Their names are swapped: `proj_h` works along the rows of the map, `proh_w` along the columns.
    *linear(f"{_TOKEN}.1.proj_h", f"{_OURS}_spatial/row"),
    *linear(f"{_TOKEN}.1.proh_w", f"{_OURS}_spatial/column"),
    *linear(f"{_TOKEN}.1.fuse", f"{_OURS}_spatial/fuse"),
    *norm(f"{_CHANNEL}.1", f"{_OURS}_channel_norm"),
    *linear(f"{_CHANNEL}.2.net.0", f"{_OURS}_channel_fc1"),
    *linear(f"{_CHANNEL}.2.net.3", f"{_OURS}_channel_fc2"),
    *norm("batch_norm", "norm"),
    *linear("mlp_head.0", "predictions"),
]

MARKER = "token_mix.0.1.proh_w.weight"
SOURCES = [Source("official_smlp_net", family="SMLPNet", marker=MARKER, table=STATE_DICT)]
