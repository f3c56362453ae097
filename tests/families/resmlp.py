from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_resmlp, timm_resmlp

CASES = [
    Case(
        "resmlp",
        "ResMLP",
        dict(patch_size=8, dim=19, depth=2, mlp_ratio=3),
        map_shape=(4, 6, 19),
        levels=("P3",),
        any_size=False,
    ),
]
_GOLDEN = dict(patch_size=8, dim=24, depth=3)
GOLDEN = {
    "resmlp_deit": Golden("ResMLP", _GOLDEN, official_resmlp.STATE_DICT),
    "resmlp_timm": Golden("ResMLP", _GOLDEN, timm_resmlp.STATE_DICT),
}
