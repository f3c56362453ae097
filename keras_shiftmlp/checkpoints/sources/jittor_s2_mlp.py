"""State dicts of the S2-MLP and S2-MLPv2 code in liuruiyang98/Jittor-MLP (its PyTorch side)."""

from keras_shiftmlp.checkpoints.sources import Row, Source, conv2d, layer_norm, linear


def _block(theirs: str, ours: str) -> list[Row]:
    """The rows of one block: a spatial branch, of either version, and a channel MLP."""
    return [
        *layer_norm(rf"{theirs}\.0\.norm", f"{ours}_spatial_norm"),
        *layer_norm(rf"{theirs}\.1\.norm", f"{ours}_channel_norm"),
        *linear(rf"{theirs}\.1\.fn\.0", f"{ours}_channel_fc1"),
        *linear(rf"{theirs}\.1\.fn\.3", f"{ours}_channel_fc2"),
        # Version 1.
        *linear(rf"{theirs}\.0\.fn\.0", f"{ours}_spatial_fc1"),
        *linear(rf"{theirs}\.0\.fn\.3", f"{ours}_spatial_fc2"),
        # Version 2.
        *linear(rf"{theirs}\.0\.fn\.mlp1", f"{ours}_spatial/expand"),
        *linear(rf"{theirs}\.0\.fn\.mlp2", f"{ours}_spatial/project"),
        *linear(rf"{theirs}\.0\.fn\.split_attention\.mlp1", f"{ours}_spatial/attention/fc1"),
        *linear(rf"{theirs}\.0\.fn\.split_attention\.mlp2", f"{ours}_spatial/attention/fc2"),
    ]


V1 = [
    *conv2d(r"stages\.0\.0", "stem"),
    *_block(r"stages\.0\.1\.model\.(\d+)", r"block_\1"),
    *linear(r"mlp_head\.[01]", "predictions"),
]
V2 = [
    *conv2d(r"stages\.(\d+)\.0", r"stage_\1_stem"),
    *_block(r"stages\.(\d+)\.1\.model\.(\d+)", r"stage_\1_block_\2"),
    *linear(r"mlp_head\.[01]", "predictions"),
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
