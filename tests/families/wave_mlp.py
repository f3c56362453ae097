from families import Case, Golden
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.sources.official_wave_mlp import STATE_DICT

_TINY = dict(dims=(14, 19), depths=(1, 2), mlp_ratios=(4, 2))
_FACTS = dict(map_shape=(4, 6, 19), levels=("P2", "P3"), smallest_side=3, rematerialized=0.9)
CASES = [
    Case("wave_mlp", "WaveMLP", _TINY, **_FACTS, without_gradient="(row|column)_phase/bias"),
    Case(
        "wave_mlp_depthwise",
        "WaveMLP",
        dict(_TINY, norm="batch", phase_conv="depthwise"),
        **_FACTS,
        without_gradient="stem/bias|stage_1_(stem_norm/beta|block_._(spatial/project|channel_fc2)/bias)",
    ),
]
_T = dict(depths=(2, 1, 2, 1), norm="batch")
_MAPS = {"block0_attn": "stage_0_block_0_spatial"}
GOLDEN = {
    "wave_mlp_official_t_dw": Golden(
        "WaveMLP", dict(_T, dims=(12, 16, 24, 32), phase_conv="depthwise"), STATE_DICT, maps=_MAPS
    ),
    "wave_mlp_official_t_oddsize": Golden(
        "WaveMLP", dict(_T, dims=(12, 17, 24, 32)), STATE_DICT, maps=_MAPS
    ),
    "wave_mlp_official_s_oddsize": Golden(
        "WaveMLP", dict(dims=(12, 16, 24, 32), depths=(2, 1, 2, 1)), STATE_DICT, maps=_MAPS
    ),
    "wave_mlp_official_m": Golden(
        "WaveMLP",
        dict(dims=(12, 16, 24, 32), depths=(1, 2, 2, 1), mlp_ratios=(8, 8, 4, 4), stem_norm=False),
        STATE_DICT,
        maps=_MAPS,
    ),
}
LAYERS = {
    "phase_aware_token_mixing": lambda **kw: layers.PhaseAwareTokenMixing(**kw),
    "phase_aware_token_mixing_depthwise": lambda **kw: layers.PhaseAwareTokenMixing(
        "depthwise", **kw
    ),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "wave_mlp_imagenet": dict(
        epochs=300,
        batch_size=1024,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.9,
        flip=True,
        learning_rate=0.001,
        warmup_epochs=5,
        warmup_learning_rate=1e-06,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.1,
    ),
}
