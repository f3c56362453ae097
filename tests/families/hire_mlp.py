from families import Case, Golden
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.sources.official_hire_mlp import STATE_DICT

CASES = [
    Case(
        "hire_mlp",
        "HireMLP",
        dict(
            dims=(14, 19),
            depths=(2, 1),
            region_sizes=(4, 3),
            shift_cycles=(2, 2),
            shift_units=(2, 1),
        ),
        map_shape=(4, 6, 19),
        levels=("P2", "P3"),
        smallest_side=11,
        recomputed_memory=0.85,
    ),
]
GOLDEN = {
    "hire_mlp_official": Golden(
        "HireMLP", dict(dims=(16, 20, 24, 32), depths=(2, 2, 4, 2)), STATE_DICT
    ),
    "hire_mlp_official_oddsize": Golden(
        "HireMLP", dict(dims=(14, 18, 22, 26), depths=(2, 2, 4, 2)), STATE_DICT
    ),
    "hire_mlp_official_smallest": Golden(
        "HireMLP", dict(dims=(8, 12, 16, 20), depths=(2, 2, 3, 2)), STATE_DICT
    ),
}
LAYERS = {
    "hierarchical_rearrangement": lambda **kw: layers.HierarchicalRearrangement(2, 3, **kw),
}
