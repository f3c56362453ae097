"""State dicts of the released Vision Permutator code (`.pth`, plain or under `state_dict`)."""

from keras_shiftmlp.checkpoints.sources import Source, as_is, conv, dense
from keras_shiftmlp.checkpoints.sources.official_cycle_mlp import reweight


def _block(theirs, ours):
    """The rows of the blocks of one stage."""
    attn = rf"{theirs}\.attn"
    return [
        (rf"{theirs}\.norm1\.weight", rf"{ours}_spatial_norm/gamma", as_is),
        (rf"{theirs}\.norm1\.bias", rf"{ours}_spatial_norm/beta", as_is),
        (rf"{attn}\.mlp_h\.weight", rf"{ours}_spatial/height/kernel", dense),
        (rf"{attn}\.mlp_w\.weight", rf"{ours}_spatial/width/kernel", dense),
        (rf"{attn}\.mlp_c\.weight", rf"{ours}_spatial/channel/kernel", dense),
        (rf"{attn}\.reweight\.fc1\.weight", rf"{ours}_spatial/attention/fc1/kernel", dense),
        (rf"{attn}\.reweight\.fc1\.bias", rf"{ours}_spatial/attention/fc1/bias", as_is),
        (rf"{attn}\.reweight\.fc2\.weight", rf"{ours}_spatial/attention/fc2/kernel", reweight),
        (rf"{attn}\.reweight\.fc2\.bias", rf"{ours}_spatial/attention/fc2/bias", reweight),
        (rf"{attn}\.proj\.weight", rf"{ours}_spatial/project/kernel", dense),
        (rf"{attn}\.proj\.bias", rf"{ours}_spatial/project/bias", as_is),
        (rf"{theirs}\.norm2\.weight", rf"{ours}_channel_norm/gamma", as_is),
        (rf"{theirs}\.norm2\.bias", rf"{ours}_channel_norm/beta", as_is),
        (rf"{theirs}\.mlp\.(fc[12])\.weight", rf"{ours}_channel_\2/kernel", dense),
        (rf"{theirs}\.mlp\.(fc[12])\.bias", rf"{ours}_channel_\2/bias", as_is),
    ]


def _state_dict(downsampling):
    """The table for a downsampling in front of that stage, `None` for none.

    The downsampling counts as a module, so the stages after it have one number more.
    """
    rows = [
        (r"patch_embed\.proj\.weight", "stage_0_stem/kernel", conv),
        (r"patch_embed\.proj\.bias", "stage_0_stem/bias", as_is),
        (r"norm\.weight", "norm/gamma", as_is),
        (r"norm\.bias", "norm/beta", as_is),
        (r"head\.weight", "predictions/kernel", dense),
        (r"head\.bias", "predictions/bias", as_is),
    ]
    for s in range(4):
        m = s if downsampling is None or s < downsampling else s + 1
        rows += _block(rf"network\.{m}\.(\d+)", rf"stage_{s}_block_\1")
        if s == downsampling:
            rows.append((rf"network\.{s}\.proj\.weight", f"stage_{s}_stem/kernel", conv))
            rows.append((rf"network\.{s}\.proj\.bias", f"stage_{s}_stem/bias", as_is))
    return rows


SMALL_14, SMALL_7, MEDIUM_7 = _state_dict(None), _state_dict(1), _state_dict(2)

# No key tells Small/14 or Small/7 from all others, so the order of the three counts.
SOURCES = [
    Source(
        "official_vip_medium7",
        family="ViP",
        marker="network.2.proj.weight",
        head="head.bias",
        table=MEDIUM_7,
        hyperparameters={"segments": (32, 32, 16, 16)},
    ),
    Source(
        "official_vip_small7",
        family="ViP",
        marker="network.4.0.attn.mlp_h.weight",
        head="head.bias",
        table=SMALL_7,
        hyperparameters={"segments": (32, 16, 16, 16)},
    ),
    Source(
        "official_vip_small14",
        family="ViP",
        marker="network.0.0.attn.mlp_h.weight",
        head="head.bias",
        table=SMALL_14,
        hyperparameters={"segments": (16, 16, 16, 16)},
    ),
]
