from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_cycle_mlp

CASES = [
    Case(
        "cycle_mlp",
        "CycleMLP",
        dict(dims=(13, 22), depths=(1, 2), mlp_ratios=(2, 3)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
        smallest_side=3,
    ),
]
GOLDEN = {
    "cycle_mlp_official": Golden(
        "CycleMLP",
        dict(dims=(16, 24, 32, 40), depths=(1, 2, 1, 1)),
        official_cycle_mlp.STATE_DICT,
    ),
    "cycle_mlp_official_oddsize": Golden(
        "CycleMLP",
        dict(dims=(12, 20, 28, 44), depths=(1, 2, 1, 1), mlp_ratios=(8, 8, 4, 4)),
        official_cycle_mlp.STATE_DICT,
    ),
}
