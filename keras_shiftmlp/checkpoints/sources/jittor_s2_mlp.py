"""State dicts of the S2-MLP and S2-MLPv2 code in liuruiyang98/Jittor-MLP (its PyTorch side)."""

from keras_shiftmlp.checkpoints.sources import Source, conv2d, linear, norm


def _block(theirs, ours):
    """The rows that the blocks of both versions share."""
    return [
        *norm(f"{theirs}.0.norm", f"{ours}_spatial_norm"),
        *norm(f"{theirs}.1.norm", f"{ours}_channel_norm"),
        *linear(f"{theirs}.1.fn.0", f"{ours}_channel_fc1"),
        *linear(f"{theirs}.1.fn.3", f"{ours}_channel_fc2"),
    ]


V1 = [
    *conv2d("stages.0.0", "stem"),
    *_block("stages.0.1.model.#", "block_#"),
    *linear("stages.0.1.model.#.0.fn.0", "block_#_spatial_fc1"),
    *linear("stages.0.1.model.#.0.fn.3", "block_#_spatial_fc2"),
    *linear("mlp_head.#", "predictions"),
]
_MIXER, _OURS = "stages.#.1.model.#.0.fn", "stage_#_block_#_spatial"
V2 = [
    *conv2d("stages.#.0", "stage_#_stem"),
    *_block("stages.#.1.model.#", "stage_#_block_#"),
    *linear(f"{_MIXER}.mlp1", f"{_OURS}/expand"),
    *linear(f"{_MIXER}.mlp2", f"{_OURS}/project"),
    *linear(f"{_MIXER}.split_attention.mlp1", f"{_OURS}/attention/fc1"),
    *linear(f"{_MIXER}.split_attention.mlp2", f"{_OURS}/attention/fc2"),
    *linear("mlp_head.#", "predictions"),
]

SOURCES = [
    Source("jittor_s2_mlp", "S2MLP", marker="stages.0.1.model.0.0.fn.0.weight", table=V1),
    Source("jittor_s2_mlp_v2", "S2MLPv2", marker="stages.0.1.model.0.0.fn.mlp1.weight", table=V2),
]
