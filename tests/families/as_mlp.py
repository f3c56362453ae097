from families import Case, Golden
from keras_shiftmlp.checkpoints.sources.official_as_mlp import STATE_DICT
from keras_shiftmlp.layers import AxialShift

CASES = [
    Case(
        "as_mlp",
        "ASMLP",
        dict(dims=(13, 26), depths=(1, 2)),
        map_shape=(4, 6, 26),
        levels=("P2", "P3"),
    ),
]
_MAPS = {"axial_shift0": "stage_0_block_0_spatial_fc2"}
GOLDEN = {
    "as_mlp_official": Golden(
        "ASMLP", dict(dims=(12, 24, 48, 96), depths=(1, 2, 1, 1)), STATE_DICT, maps=_MAPS
    ),
    "as_mlp_official_nonsquare": Golden(
        "ASMLP", dict(dims=(14, 28, 56, 112), depths=(1, 1, 1, 1)), STATE_DICT, maps=_MAPS
    ),
}
LAYERS = {
    "axial_shift_horizontal": lambda **kw: AxialShift(5, "horizontal", **kw),
    "axial_shift_vertical": lambda **kw: AxialShift(7, "vertical", **kw),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "as_mlp_imagenet": dict(
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
        clip_norm=5.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.2,
    ),
}
