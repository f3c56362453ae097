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
        smallest_side=8,
        crops=True,
    ),
]
_MAPS = {"shift0": "stage_0_block_0_shift"}
GOLDEN = {
    "shiftvit_official": Golden(
        "ShiftViT",
        dict(dims=(12, 24, 48, 96), depths=(1, 2, 1, 1), mlp_ratio=4),
        STATE_DICT,
        maps=_MAPS,
    ),
    "shiftvit_official_ndiv4": Golden(
        "ShiftViT",
        dict(dims=(10, 20, 40, 80), depths=(1, 1, 1, 1), n_div=4),
        STATE_DICT,
        maps=_MAPS,
    ),
    "shiftvit_official_nonsquare_odd": Golden(
        "ShiftViT",
        dict(dims=(17, 34, 68, 136), depths=(2, 1, 2, 1), n_div=5, mlp_ratio=2.5),
        STATE_DICT,
        maps=_MAPS,
    ),
}
LAYERS = {"partial_shift": lambda **kw: PartialShift(5, **kw)}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "shiftvit_imagenet": dict(
        epochs=300,
        batch_size=1024,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.875,
        flip=True,
        learning_rate=0.001,
        warmup_epochs=20,
        warmup_learning_rate=1e-06,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.2,
    ),
}
