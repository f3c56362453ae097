from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import official_cycle_mlp

CASES = [
    Case(
        "cycle_mlp",
        "CycleMLP",
        dict(dims=(13, 22), depths=(1, 2), mlp_ratios=(2, 3)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
        smallest_side=3,
    ),
]
GOLDEN = {
    "cycle_mlp_official": Golden(
        "CycleMLP",
        dict(dims=(16, 24, 32, 40), depths=(1, 2, 1, 1)),
        official_cycle_mlp.STATE_DICT,
    ),
    "cycle_mlp_official_oddsize": Golden(
        "CycleMLP",
        dict(dims=(12, 20, 28, 44), depths=(1, 2, 1, 1), mlp_ratios=(8, 8, 4, 4)),
        official_cycle_mlp.STATE_DICT,
    ),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "cycle_mlp_imagenet": dict(
        epochs=300,
        batch_size=1024,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.875,
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
