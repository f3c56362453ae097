from families import Case, Golden
from keras_shiftmlp.checkpoints.sources import timm

CASES = [
    Case(
        "conv_mixer",
        "ConvMixer",
        dict(patch_size=8, dim=19, depth=2, kernel_size=3),
        map_shape=(4, 6, 19),
        levels=("P3",),
        smallest_side=8,
        crops=True,
        rematerialized=0.9,
        lora_layers=1,
    ),
]
_MAPS = {"block0_spatial": "block_0_spatial_add"}
GOLDEN = {
    "conv_mixer_timm": Golden(
        "ConvMixer", dict(patch_size=4, dim=16, depth=2, kernel_size=5), timm.CONV_MIXER, maps=_MAPS
    ),
    "conv_mixer_timm_relu": Golden(
        "ConvMixer",
        dict(patch_size=7, dim=12, depth=2, kernel_size=3, activation="relu"),
        timm.CONV_MIXER,
        maps=_MAPS,
    ),
}

# The settings in the paper, where they are not the common ones; see the recipe for their source.
RECIPES = {
    "conv_mixer_imagenet": dict(
        epochs=150,
        batch_size=640,
        learning_rate=0.01,
        weight_decay=2e-5,
        clip_norm=1.0,
        label_smoothing=0.1,
        randaugment=(2, 0.9),
        mixup=0.5,
        cutmix=0.5,
        erase=0.25,
        drop_path_rate=0.0,
        crop_fraction=0.96,
    ),
}
