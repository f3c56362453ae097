from families import Case, Golden
from keras_shiftmlp import layers
from keras_shiftmlp.checkpoints.sources.official_hire_mlp import STATE_DICT

CASES = [
    Case(
        "hire_mlp",
        "HireMLP",
        dict(
            dims=(14, 19),
            depths=(2, 1),
            region_sizes=(4, 3),
            shift_cycles=(2, 2),
            shift_units=(2, 1),
        ),
        map_shape=(4, 6, 19),
        levels=("P2", "P3"),
        smallest_side=11,
        rematerialized=0.85,
        without_gradient="stem/bias|stage_1_block_0_(spatial/project|channel_fc2)/bias",
    ),
]
_MAPS = {"block0_hire": "stage_0_block_0_spatial"}
GOLDEN = {
    "hire_mlp_official": Golden(
        "HireMLP", dict(dims=(16, 20, 24, 32), depths=(2, 2, 4, 2)), STATE_DICT, maps=_MAPS
    ),
    "hire_mlp_official_oddsize": Golden(
        "HireMLP", dict(dims=(14, 18, 22, 26), depths=(2, 2, 4, 2)), STATE_DICT, maps=_MAPS
    ),
    "hire_mlp_official_smallest": Golden(
        "HireMLP", dict(dims=(8, 12, 16, 20), depths=(2, 2, 3, 2)), STATE_DICT, maps=_MAPS
    ),
}
LAYERS = {
    "hierarchical_rearrangement": lambda **kw: layers.HierarchicalRearrangement(2, 3, **kw),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "hire_mlp_imagenet": dict(
        epochs=300,
        batch_size=2048,
        weight_decay=0.05,
        label_smoothing=0.1,
        crop_scale=(0.08, 1.0),
        crop_fraction=0.875,
        flip=True,
        learning_rate=0.002,
        warmup_epochs=20,
        warmup_learning_rate=1e-06,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.0,
    ),
}
