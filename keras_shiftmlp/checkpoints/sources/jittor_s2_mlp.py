"""State dicts of the S2-MLP and S2-MLPv2 code in liuruiyang98/Jittor-MLP (its PyTorch side)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense


def _block(theirs, ours):
    """The rows of one block: a spatial branch, of either version, and a channel MLP."""
    fn = rf"{theirs}\.0\.fn"
    return [
        (rf"{theirs}\.0\.norm\.weight", rf"{ours}_spatial_norm/gamma", as_is),
        (rf"{theirs}\.0\.norm\.bias", rf"{ours}_spatial_norm/beta", as_is),
        (rf"{theirs}\.1\.norm\.weight", rf"{ours}_channel_norm/gamma", as_is),
        (rf"{theirs}\.1\.norm\.bias", rf"{ours}_channel_norm/beta", as_is),
        (rf"{theirs}\.1\.fn\.0\.weight", rf"{ours}_channel_fc1/kernel", dense),
        (rf"{theirs}\.1\.fn\.0\.bias", rf"{ours}_channel_fc1/bias", as_is),
        (rf"{theirs}\.1\.fn\.3\.weight", rf"{ours}_channel_fc2/kernel", dense),
        (rf"{theirs}\.1\.fn\.3\.bias", rf"{ours}_channel_fc2/bias", as_is),
        # Version 1.
        (rf"{fn}\.0\.weight", rf"{ours}_spatial_fc1/kernel", dense),
        (rf"{fn}\.0\.bias", rf"{ours}_spatial_fc1/bias", as_is),
        (rf"{fn}\.3\.weight", rf"{ours}_spatial_fc2/kernel", dense),
        (rf"{fn}\.3\.bias", rf"{ours}_spatial_fc2/bias", as_is),
        # Version 2.
        (rf"{fn}\.mlp1\.weight", rf"{ours}_spatial/expand/kernel", dense),
        (rf"{fn}\.mlp1\.bias", rf"{ours}_spatial/expand/bias", as_is),
        (rf"{fn}\.mlp2\.weight", rf"{ours}_spatial/project/kernel", dense),
        (rf"{fn}\.mlp2\.bias", rf"{ours}_spatial/project/bias", as_is),
        (
            rf"{fn}\.split_attention\.mlp1\.weight",
            rf"{ours}_spatial/attention/fc1/kernel",
            dense,
        ),
        (
            rf"{fn}\.split_attention\.mlp2\.weight",
            rf"{ours}_spatial/attention/fc2/kernel",
            dense,
        ),
    ]


_HEAD = [
    (r"mlp_head\.[01]\.weight", "predictions/kernel", dense),
    (r"mlp_head\.[01]\.bias", "predictions/bias", as_is),
]
V1 = [
    (r"stages\.0\.0\.weight", "stem/kernel", conv),
    (r"stages\.0\.0\.bias", "stem/bias", as_is),
    *_block(r"stages\.0\.1\.model\.(\d+)", r"block_\1"),
    *_HEAD,
]
V2 = [
    (r"stages\.(\d+)\.0\.weight", r"stage_\1_stem/kernel", conv),
    (r"stages\.(\d+)\.0\.bias", r"stage_\1_stem/bias", as_is),
    *_block(r"stages\.(\d+)\.1\.model\.(\d+)", r"stage_\1_block_\2"),
    *_HEAD,
]

SOURCES = [
    Source(
        "jittor_s2_mlp",
        family="S2MLP",
        marker="stages.0.1.model.0.0.fn.0.weight",
        head="mlp_head.1.bias",
        table=V1,
    ),
    Source(
        "jittor_s2_mlp_v2",
        family="S2MLPv2",
        marker="stages.0.1.model.0.0.fn.mlp1.weight",
        head="mlp_head.1.bias",
        table=V2,
    ),
]
