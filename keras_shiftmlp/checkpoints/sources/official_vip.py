"""State dicts of the released Vision Permutator code (`.pth`, plain or under `state_dict`)."""

from keras_shiftmlp.checkpoints.sources import END, Source, conv2d, linear, of_block, reweight


def _block(theirs, ours):
    """The rows of the blocks of one stage."""
    return [
        *of_block(theirs, ours),
        *linear(f"{theirs}.attn.mlp_h", f"{ours}_spatial/height"),
        *linear(f"{theirs}.attn.mlp_w", f"{ours}_spatial/width"),
        *linear(f"{theirs}.attn.mlp_c", f"{ours}_spatial/channel"),
        *reweight(f"{theirs}.attn.reweight", f"{ours}_spatial/attention"),
        *linear(f"{theirs}.attn.proj", f"{ours}_spatial/project"),
    ]


def _source(name, marker, downsampling, segments):
    """A network with a downsampling before one stage; before stage 0 there is none.

    The downsampling counts as a module of `network`, so the later stages have one number more.
    """
    rows = [*conv2d("patch_embed.proj", "stage_0_stem"), *END]
    if downsampling:
        rows += conv2d(f"network.{downsampling}.proj", f"stage_{downsampling}_stem")
    for stage in range(4):
        module = stage + (0 < downsampling <= stage)
        rows += _block(f"network.{module}.#", f"stage_{stage}_block_#")
    return Source(name, "ViP", marker, table=rows, hyperparameters={"segments": segments})


# No key tells Small/14 or Small/7 from all others, so the order of the three counts.
SOURCES = [
    _source("official_vip_medium7", "network.2.proj.weight", 2, segments=(32, 32, 16, 16)),
    _source("official_vip_small7", "network.4.0.attn.mlp_h.weight", 1, segments=(32, 16, 16, 16)),
    _source("official_vip_small14", "network.0.0.attn.mlp_h.weight", 0, segments=(16, 16, 16, 16)),
]
