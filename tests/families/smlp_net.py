from families import Case, Golden
from keras_shiftmlp.checkpoints.sources.official_smlp_net import STATE_DICT

CASES = [
    Case(
        "smlp_net",
        "SMLPNet",
        dict(dims=(15, 22), depths=(1, 2)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
        any_size=False,
    ),
]
GOLDEN = {
    "smlp_net_official": Golden(
        "SMLPNet", dict(dims=(12, 24, 48, 96), depths=(2, 1, 2, 1)), STATE_DICT
    ),
    "smlp_net_official_odd_grid": Golden(
        "SMLPNet", dict(dims=(10, 20, 40, 80), depths=(1, 2, 1, 1), mlp_ratio=2), STATE_DICT
    ),
}
