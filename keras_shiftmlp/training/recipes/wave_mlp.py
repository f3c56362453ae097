"""Recipes of Wave-MLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "WaveMLP"
RECIPES = {
    # Tang et al., 2021: the README of the released code, for every size.
    "wave_mlp_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        warmup_learning_rate=1e-6,
        crop_fraction=0.9,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.1,
    ),
}
