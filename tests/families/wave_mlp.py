from families import Case, Golden
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.sources.official_wave_mlp import STATE_DICT

_TINY = dict(dims=(14, 19), depths=(1, 2), mlp_ratios=(4, 2))
_FACTS = dict(map_shape=(4, 6, 19), levels=("P2", "P3"), smallest_side=3, recomputed_memory=0.9)
CASES = [
    Case("wave_mlp", "WaveMLP", _TINY, **_FACTS),
    Case(
        "wave_mlp_depthwise",
        "WaveMLP",
        dict(_TINY, norm="batch", phase_conv="depthwise"),
        **_FACTS,
    ),
]
_T = dict(depths=(2, 1, 2, 1), norm="batch")
GOLDEN = {
    "wave_mlp_official_t_dw": Golden(
        "WaveMLP", dict(_T, dims=(12, 16, 24, 32), phase_conv="depthwise"), STATE_DICT
    ),
    "wave_mlp_official_t_oddsize": Golden("WaveMLP", dict(_T, dims=(12, 17, 24, 32)), STATE_DICT),
    "wave_mlp_official_s_oddsize": Golden(
        "WaveMLP", dict(dims=(12, 16, 24, 32), depths=(2, 1, 2, 1)), STATE_DICT
    ),
    "wave_mlp_official_m": Golden(
        "WaveMLP",
        dict(dims=(12, 16, 24, 32), depths=(1, 2, 2, 1), mlp_ratios=(8, 8, 4, 4), stem_norm=False),
        STATE_DICT,
    ),
}
LAYERS = {
    "phase_aware_token_mixing": lambda **kw: layers.PhaseAwareTokenMixing(**kw),
    "phase_aware_token_mixing_depthwise": lambda **kw: layers.PhaseAwareTokenMixing(
        "depthwise", **kw
    ),
}
