from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_resmlp, timm

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
    "resmlp_timm": Golden("ResMLP", _GOLDEN, timm.RESMLP),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "resmlp_imagenet": dict(
        epochs=400,
        batch_size=1024,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.9,
        flip=True,
        learning_rate=0.001,
        warmup_epochs=5,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
    ),
}
