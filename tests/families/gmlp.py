from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import timm_gmlp

CASES = [
    Case(
        "gmlp",
        "GMLP",
        dict(patch_size=8, dim=18, depth=2, mlp_ratio=3),
        map_shape=(4, 6, 18),
        levels=("P3",),
        any_size=False,
    ),
]
_GOLDEN = dict(patch_size=8, dim=16, depth=3)
GOLDEN = {
    "gmlp_timm": Golden("GMLP", _GOLDEN, timm_gmlp.STATE_DICT),
    "gmlp_timm_gate_eps": Golden("GMLP", _GOLDEN, timm_gmlp.STATE_DICT),
}
