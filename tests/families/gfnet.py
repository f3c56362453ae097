from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_gfnet

CASES = [
    Case(
        "gfnet",
        "GFNet",
        dict(patch_size=8, dim=18, depth=3),
        map_shape=(4, 6, 18),
        levels=("P3",),
        any_size=False,
    ),
    Case(
        "gfnet_h",
        "GFNetH",
        dict(dims=(13, 22), depths=(1, 2), layer_scale_init=0.3),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
        any_size=False,
    ),
]
_GFNET = dict(patch_size=8, dim=16, depth=3)

_MAPS = {"stem": "stem", "block0_filter": "block_0_spatial"}
GOLDEN = {
    "gfnet": Golden("GFNet", _GFNET, official_gfnet.STATE_DICT, tolerance=2e-5, maps=_MAPS),
    "gfnet_odd_grid": Golden(
        "GFNet", _GFNET, official_gfnet.STATE_DICT, tolerance=2e-5, maps=_MAPS
    ),
    "gfnet_pyramid": Golden(
        "GFNetH",
        dict(dims=(8, 12, 16, 20), depths=(1, 1, 2, 1)),
        official_gfnet.PYRAMID,
        tolerance=2e-5,
        maps={"stem": "stage_0_stem"},
    ),
}
