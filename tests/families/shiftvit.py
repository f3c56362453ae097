from families import Case, Golden
from keras_shiftmlp.checkpoints.sources.official_shiftvit import STATE_DICT
from keras_shiftmlp.layers import PartialShift

CASES = [
    Case(
        "shiftvit",
        "ShiftViT",
        dict(dims=(13, 26), depths=(1, 2), n_div=6, mlp_ratio=2.5),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
        any_size=False,  # maps are cropped, and an image has a smallest size
    ),
]
GOLDEN = {
    "shiftvit_official": Golden(
        "ShiftViT", dict(dims=(12, 24, 48, 96), depths=(1, 2, 1, 1), mlp_ratio=4), STATE_DICT
    ),
    "shiftvit_official_ndiv4": Golden(
        "ShiftViT", dict(dims=(10, 20, 40, 80), depths=(1, 1, 1, 1), n_div=4), STATE_DICT
    ),
    "shiftvit_official_nonsquare_odd": Golden(
        "ShiftViT",
        dict(dims=(17, 34, 68, 136), depths=(2, 1, 2, 1), n_div=5, mlp_ratio=2.5),
        STATE_DICT,
    ),
}
LAYERS = {"partial_shift": lambda **kw: PartialShift(5, **kw)}
