from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import as_is, conv, dense, jittor_s2_mlp

CASES = [
    Case(
        "s2_mlp_v2",
        "S2MLPv2",
        dict(patch_sizes=(4, 2), dims=(16, 22), depths=(1, 2)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
    ),
]
# Keys of the independent implementation of the paper.
_BLOCK, _OURS = r"stages\.(\d+)\.(\d+)", r"stage_\1_block_\2"
PAPER_S2_MLP_V2 = [
    (r"downsample\.(\d+)\.weight", r"stage_\1_stem/kernel", conv),
    (r"downsample\.(\d+)\.bias", r"stage_\1_stem/bias", as_is),
    (rf"{_BLOCK}\.norm1\.weight", rf"{_OURS}_spatial_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm1\.bias", rf"{_OURS}_spatial_norm/beta", as_is),
    (rf"{_BLOCK}\.norm2\.weight", rf"{_OURS}_channel_norm/gamma", as_is),
    (rf"{_BLOCK}\.norm2\.bias", rf"{_OURS}_channel_norm/beta", as_is),
    (rf"{_BLOCK}\.expand\.weight", rf"{_OURS}_spatial/expand/kernel", dense),
    (rf"{_BLOCK}\.expand\.bias", rf"{_OURS}_spatial/expand/bias", as_is),
    (rf"{_BLOCK}\.proj\.weight", rf"{_OURS}_spatial/project/kernel", dense),
    (rf"{_BLOCK}\.proj\.bias", rf"{_OURS}_spatial/project/bias", as_is),
    (
        rf"{_BLOCK}\.split_attention\.mlp(\d)\.weight",
        rf"{_OURS}_spatial/attention/fc\3/kernel",
        dense,
    ),
    (rf"{_BLOCK}\.(fc\d)\.weight", rf"{_OURS}_channel_\3/kernel", dense),
    (rf"{_BLOCK}\.(fc\d)\.bias", rf"{_OURS}_channel_\3/bias", as_is),
    (r"norm\.weight", "norm/gamma", as_is),
    (r"norm\.bias", "norm/beta", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]

_S2V2 = dict(patch_sizes=(7, 2), dims=(16, 36), depths=(2, 2))

GOLDEN = {
    "s2_mlp_v2_paper_like": Golden("S2MLPv2", _S2V2, PAPER_S2_MLP_V2),
    "s2_mlp_v2_paper_like_no_final_norm": Golden(
        "S2MLPv2",
        _S2V2 | dict(final_norm=False),
        PAPER_S2_MLP_V2,
    ),
    "s2_mlp_v2_jittor": Golden(
        "S2MLPv2",
        dict(
            patch_sizes=(7, 2),
            dims=(16, 20),
            depths=(2, 2),
            split_attention_ratio=1.0,
            final_norm=False,
        ),
        jittor_s2_mlp.V2,
    ),
}
