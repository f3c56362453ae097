from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import timm

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
    "gmlp_timm": Golden("GMLP", _GOLDEN, timm.GMLP),
    "gmlp_timm_gate_eps": Golden("GMLP", _GOLDEN, timm.GMLP),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "gmlp_imagenet": dict(
        epochs=300,
        batch_size=4096,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.875,
        flip=True,
        learning_rate=0.001,
        warmup_steps=10000,
        clip_norm=1.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        drop_path_rate=0.05,
    ),
}
