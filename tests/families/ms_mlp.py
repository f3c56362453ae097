from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_ms_mlp

CASES = [
    Case(
        "ms_mlp",
        "MSMLP",
        dict(
            dims=(13, 26),
            depths=(1, 2),
            kernel_sizes=((1, 1, 3, 5, 7), (1, 3, 3, 5, 7)),
            layer_scale_init=0.1,
        ),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
]

GOLDEN = {
    "ms_mlp_official": Golden(
        "MSMLP",
        dict(dims=(22, 44, 88, 176), depths=(1, 1, 2, 1), mlp_ratio=2),
        official_ms_mlp.STATE_DICT,
    ),
    "ms_mlp_official_nonsquare": Golden(
        "MSMLP",
        dict(dims=(17, 34, 68, 136), depths=(1, 2, 1, 1)),
        official_ms_mlp.STATE_DICT,
    ),
    "ms_mlp_official_lastrow1": Golden(
        "MSMLP",
        dict(dims=(13, 26, 52, 104), depths=(1, 1, 1, 1)),
        official_ms_mlp.STATE_DICT,
    ),
}
