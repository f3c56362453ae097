"""State dicts of the released sMLPNet code (`.pth`, under `model`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, batch_norm, conv, dense, depthwise


def pointwise(array):
    """`(out, in, 1, 1)` of a 1 x 1 convolution to `(in, out)`."""
    return array[..., 0, 0].T


_TOKEN, _CHANNEL, _OURS = r"token_mix\.(\d+)", r"channel_mix\.(\d+)", r"block_\1"

STATE_DICT = [
    (r"to_patch_embedding\.(\d+)\.0\.weight", r"stage_\1_stem/kernel", conv),
    *batch_norm(rf"{_TOKEN}\.0\.conv_merge\.BN", f"{_OURS}_local_norm"),
    (rf"{_TOKEN}\.0\.conv_merge\.Conv\.weight", f"{_OURS}_local_conv/kernel", depthwise),
    *batch_norm(rf"{_TOKEN}\.1\.BN", f"{_OURS}_spatial_norm"),
    # Their names are swapped: `proj_h` works along the rows of the map, `proh_w` along the columns.
    (rf"{_TOKEN}\.1\.proj_h\.weight", f"{_OURS}_spatial/row/kernel", pointwise),
    (rf"{_TOKEN}\.1\.proj_h\.bias", f"{_OURS}_spatial/row/bias", as_is),
    (rf"{_TOKEN}\.1\.proh_w\.weight", f"{_OURS}_spatial/column/kernel", pointwise),
    (rf"{_TOKEN}\.1\.proh_w\.bias", f"{_OURS}_spatial/column/bias", as_is),
    (rf"{_TOKEN}\.1\.fuse\.weight", f"{_OURS}_spatial/fuse/kernel", pointwise),
    (rf"{_CHANNEL}\.1\.weight", f"{_OURS}_channel_norm/gamma", as_is),
    (rf"{_CHANNEL}\.1\.bias", f"{_OURS}_channel_norm/beta", as_is),
    (rf"{_CHANNEL}\.2\.net\.0\.weight", f"{_OURS}_channel_fc1/kernel", dense),
    (rf"{_CHANNEL}\.2\.net\.0\.bias", f"{_OURS}_channel_fc1/bias", as_is),
    (rf"{_CHANNEL}\.2\.net\.3\.weight", f"{_OURS}_channel_fc2/kernel", dense),
    (rf"{_CHANNEL}\.2\.net\.3\.bias", f"{_OURS}_channel_fc2/bias", as_is),
    *batch_norm("batch_norm", "norm"),
    (r"mlp_head\.0\.weight", "predictions/kernel", dense),
    (r"mlp_head\.0\.bias", "predictions/bias", as_is),
]

SOURCES = [
    Source(
        "official_smlp_net",
        family="SMLPNet",
        marker="token_mix.0.1.proh_w.weight",
        head="mlp_head.0.bias",
        table=STATE_DICT,
    )
]
