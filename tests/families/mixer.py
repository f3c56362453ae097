from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import google_mixer, timm

CASES = [
    Case(
        "mixer",
        "Mixer",
        dict(patch_size=8, dim=20, depth=2, tokens_mlp_dim=12, channels_mlp_dim=40),
        map_shape=(4, 6, 20),
        levels=("P3",),
        any_size=False,
        without_gradient="token_fc2/bias",
    ),
]
_MIXER = dict(patch_size=8, dim=24, depth=2, tokens_mlp_dim=12, channels_mlp_dim=96)

GOLDEN = {
    "mixer_google_tanh": Golden("Mixer", _MIXER | dict(gelu="tanh"), google_mixer.FLAX),
    "mixer_google_legacy_layout": Golden(
        "Mixer",
        _MIXER | dict(gelu="tanh"),
        google_mixer.FLAX_BEFORE_LINEN,
    ),
    "mixer_google_legacy_prelinen": Golden(
        "Mixer",
        _MIXER | dict(gelu="tanh"),
        google_mixer.FLAX_BEFORE_LINEN,
    ),
    "mixer_timm_erf": Golden("Mixer", _MIXER | dict(gelu="erf"), timm.MIXER),
}
