from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import as_is, conv, dense, jittor_s2_mlp

CASES = [
    Case(
        "s2_mlp",
        "S2MLP",
        dict(patch_sizes=(8,), dims=(18,), depths=(2,)),
        map_shape=(4, 6, 18),
        levels=("P3",),
    ),
    Case(
        "s2_mlp_deep",
        "S2MLP",
        dict(
            patch_sizes=(8,),
            dims=(18,),
            depths=(2,),
            norm="affine",
            norm_position="pre",
            setting="b",
        ),
        map_shape=(4, 6, 18),
        levels=("P3",),
    ),
    Case(
        "s2_mlp_pyramid",
        "S2MLP",
        dict(patch_sizes=(4, 2), dims=(12, 20), depths=(1, 2), norm="batch"),
        map_shape=(4, 6, 20),
        levels=("P2", "P3"),
        rematerialized=0.7,
        without_gradient="stem/bias|fc2/bias|^block_0_channel_norm/beta",
    ),
]
# Keys of the independent implementation of the paper.
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
_S2 = dict(patch_sizes=(8,), mlp_ratio=4)
_JITTOR_S2 = dict(norm_position="pre", embed_norm=False)

GOLDEN = {
    "s2_mlp_paper_wide_like": Golden("S2MLP", _S2 | dict(dims=(24,), depths=(2,)), PAPER_S2_MLP),
    "s2_mlp_paper_deep_like": Golden(
        "S2MLP", _S2 | dict(dims=(18,), depths=(4,), norm="affine"), PAPER_S2_MLP
    ),
    "s2_mlp_v1_jittor": Golden(
        "S2MLP", _S2 | _JITTOR_S2 | dict(dims=(20,), depths=(3,)), jittor_s2_mlp.V1
    ),
}
