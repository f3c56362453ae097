"""The reference networks: which constructor, with what, and how the names translate."""

from typing import NamedTuple

from families import GOLDEN

from keras_shiftmlp.checkpoints.sources import (
    Row,
    as_is,
    conv,
    dense,
    google_mixer,
    jittor_s2_mlp,
    official_ms_mlp,
    timm_mixer,
)

PAPER_S2_MLP = [
    (r"patch_embed\.weight", "stem/kernel", conv),
    (r"patch_embed\.bias", "stem/bias", as_is),
    (r"embed_norm\.weight", "stem_norm/gamma", as_is),
    (r"embed_norm\.bias", "stem_norm/beta", as_is),
    (r"blocks\.(\d+)\.fc([12])\.weight", r"block_\1_spatial_fc\2/kernel", dense),
    (r"blocks\.(\d+)\.fc([12])\.bias", r"block_\1_spatial_fc\2/bias", as_is),
    (r"blocks\.(\d+)\.fc3\.weight", r"block_\1_channel_fc1/kernel", dense),
    (r"blocks\.(\d+)\.fc3\.bias", r"block_\1_channel_fc1/bias", as_is),
    (r"blocks\.(\d+)\.fc4\.weight", r"block_\1_channel_fc2/kernel", dense),
    (r"blocks\.(\d+)\.fc4\.bias", r"block_\1_channel_fc2/bias", as_is),
    (r"blocks\.(\d+)\.norm1\.weight", r"block_\1_spatial_norm/gamma", as_is),
    (r"blocks\.(\d+)\.norm1\.bias", r"block_\1_spatial_norm/beta", as_is),
    (r"blocks\.(\d+)\.norm2\.weight", r"block_\1_channel_norm/gamma", as_is),
    (r"blocks\.(\d+)\.norm2\.bias", r"block_\1_channel_norm/beta", as_is),
    (r"blocks\.(\d+)\.norm1\.(alpha|beta)", r"block_\1_spatial_norm/\2", as_is),
    (r"blocks\.(\d+)\.norm2\.(alpha|beta)", r"block_\1_channel_norm/\2", as_is),
    (r"head\.weight", "predictions/kernel", dense),
    (r"head\.bias", "predictions/bias", as_is),
]
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

_MIXER = dict(patch_size=8, dim=24, depth=2, tokens_mlp_dim=12, channels_mlp_dim=96)
_S2 = dict(patch_size=8, mlp_ratio=4)
_JITTOR_S2 = dict(norm_position="pre", embed_norm=False)
_S2V2 = dict(patch_sizes=(7, 2), dims=(16, 36), depths=(2, 2))


class Case(NamedTuple):
    """A reference network; its arrays are in the file of its name."""

    constructor: str
    hyperparameters: dict
    table: list[Row]


CASES = {
    "mixer_google_tanh": Case("Mixer", _MIXER | dict(gelu="tanh"), google_mixer.FLAX),
    "mixer_google_legacy_layout": Case(
        "Mixer",
        _MIXER | dict(gelu="tanh"),
        google_mixer.FLAX_BEFORE_LINEN,
    ),
    "mixer_google_legacy_prelinen": Case(
        "Mixer",
        _MIXER | dict(gelu="tanh"),
        google_mixer.FLAX_BEFORE_LINEN,
    ),
    "mixer_timm_erf": Case("Mixer", _MIXER | dict(gelu="erf"), timm_mixer.STATE_DICT),
    "s2_mlp_paper_wide_like": Case("S2MLP", _S2 | dict(dim=24, depth=2), PAPER_S2_MLP),
    "s2_mlp_paper_deep_like": Case(
        "S2MLP", _S2 | dict(dim=18, depth=4, norm="affine"), PAPER_S2_MLP
    ),
    "s2_mlp_v1_jittor": Case("S2MLP", _S2 | _JITTOR_S2 | dict(dim=20, depth=3), jittor_s2_mlp.V1),
    "s2_mlp_v2_paper_like": Case("S2MLPv2", _S2V2, PAPER_S2_MLP_V2),
    "s2_mlp_v2_paper_like_no_final_norm": Case(
        "S2MLPv2",
        _S2V2 | dict(final_norm=False),
        PAPER_S2_MLP_V2,
    ),
    "s2_mlp_v2_jittor": Case(
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
    "ms_mlp_official": Case(
        "MSMLP",
        dict(dims=(22, 44, 88, 176), depths=(1, 1, 2, 1), mlp_ratio=2),
        official_ms_mlp.STATE_DICT,
    ),
    "ms_mlp_official_nonsquare": Case(
        "MSMLP",
        dict(dims=(17, 34, 68, 136), depths=(1, 2, 1, 1)),
        official_ms_mlp.STATE_DICT,
    ),
    "ms_mlp_official_lastrow1": Case(
        "MSMLP",
        dict(dims=(13, 26, 52, 104), depths=(1, 1, 1, 1)),
        official_ms_mlp.STATE_DICT,
    ),
}

CASES |= {
    name: Case(golden.constructor, golden.hyperparameters, golden.table)
    for name, golden in GOLDEN.items()
}
