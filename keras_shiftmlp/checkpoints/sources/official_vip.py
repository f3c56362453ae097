"""State dicts of the released Vision Permutator code (`.pth`, plain or under `state_dict`)."""

from keras_shiftmlp.checkpoints.sources import (
    END,
    Source,
    block_parts,
    conv2d,
    linear,
    split_attention,
)


def _block(theirs, ours):
    """The rows of the blocks of one stage."""
    return [
        *block_parts(theirs, ours),
        *linear(f"{theirs}.attn.mlp_h", f"{ours}_spatial/height"),
        *linear(f"{theirs}.attn.mlp_w", f"{ours}_spatial/width"),
        *linear(f"{theirs}.attn.mlp_c", f"{ours}_spatial/channel"),
        *split_attention(f"{theirs}.attn.reweight", f"{ours}_spatial/attention"),
        *linear(f"{theirs}.attn.proj", f"{ours}_spatial/project"),
    ]


def _state_dict(downsampling):
    """The table of a network with a downsampling after one stage, or with none.

    The downsampling counts as a module of `network`, so the later stages have one number more.
    """
    rows = [*conv2d("patch_embed.proj", "stage_0_stem"), *END]
    for stage in range(4):
        module = stage if downsampling is None or stage < downsampling else stage + 1
        rows += _block(f"network.{module}.#", f"stage_{stage}_block_#")
    if downsampling is not None:
        rows += conv2d(f"network.{downsampling}.proj", f"stage_{downsampling}_stem")
    return rows


SMALL_14, SMALL_7, MEDIUM_7 = _state_dict(None), _state_dict(1), _state_dict(2)

# No key tells Small/14 or Small/7 from all others, so the order of the three counts.
SOURCES = [
    Source(
        "official_vip_medium7",
        family="ViP",
        marker="network.2.proj.weight",
        table=MEDIUM_7,
        hyperparameters={"segments": (32, 32, 16, 16)},
    ),
    Source(
        "official_vip_small7",
        family="ViP",
        marker="network.4.0.attn.mlp_h.weight",
        table=SMALL_7,
        hyperparameters={"segments": (32, 16, 16, 16)},
    ),
    Source(
        "official_vip_small14",
        family="ViP",
        marker="network.0.0.attn.mlp_h.weight",
        table=SMALL_14,
        hyperparameters={"segments": (16, 16, 16, 16)},
    ),
]
