from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import timm

CASES = [
    Case(
        "gmixer",
        "GMixer",
        dict(patch_size=8, dim=19, depth=2, tokens_mlp_dim=20, channels_mlp_dim=76),
        map_shape=(4, 6, 19),
        levels=("P3",),
        any_size=False,
        without_gradient="token_fc2/bias",
        rematerialized=0.7,  # a gate's input and output are both kept
    ),
]
_GOLDEN = dict(patch_size=8, dim=20, depth=3, tokens_mlp_dim=20, channels_mlp_dim=80)
_MAPS = {"block0_tokens": "block_0_token_fc2"}
GOLDEN = {
    "gmixer_timm": Golden("GMixer", _GOLDEN, timm.MIXER, maps=_MAPS),
    "gmixer_timm_odd_grid": Golden("GMixer", _GOLDEN, timm.MIXER, maps=_MAPS),
}
