from families import Case, Golden
from keras_shiftmlp.checkpoints.sources.official_smlp_net import STATE_DICT

CASES = [
    Case(
        "smlp_net",
        "SMLPNet",
        dict(dims=(15, 22), depths=(1, 2)),
        map_shape=(4, 6, 22),
        levels=("P2", "P3"),
        any_size=False,
        without_gradient="block_2_channel_fc2/bias",
    ),
]
_MAPS = {
    "block0_token": "block_0_spatial_add",
    "stage0": "P2",
    "stage1": "P3",
    "stage2": "P4",
}
GOLDEN = {
    "smlp_net_official": Golden(
        "SMLPNet", dict(dims=(12, 24, 48, 96), depths=(2, 1, 2, 1)), STATE_DICT, maps=_MAPS
    ),
    "smlp_net_official_odd_grid": Golden(
        "SMLPNet",
        dict(dims=(10, 20, 40, 80), depths=(1, 2, 1, 1), mlp_ratio=2),
        STATE_DICT,
        maps=_MAPS,
    ),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "smlp_net_imagenet": dict(
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
        drop_path_rate=0.0,
    ),
}
