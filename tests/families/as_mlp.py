from families import Case, Golden
from keras_shiftmlp.checkpoints.sources.official_as_mlp import STATE_DICT
from keras_shiftmlp.layers import AxialShift

CASES = [
    Case(
        "as_mlp",
        "ASMLP",
        dict(dims=(13, 26), depths=(1, 2)),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
]
GOLDEN = {
    "as_mlp_official": Golden(
        "ASMLP", dict(dims=(12, 24, 48, 96), depths=(1, 2, 1, 1)), STATE_DICT
    ),
    "as_mlp_official_nonsquare": Golden(
        "ASMLP", dict(dims=(14, 28, 56, 112), depths=(1, 1, 1, 1)), STATE_DICT
    ),
}
LAYERS = {
    "axial_shift_horizontal": lambda **kw: AxialShift(5, "horizontal", **kw),
    "axial_shift_vertical": lambda **kw: AxialShift(7, "vertical", **kw),
}
