"""Recipes of S2-MLPv2."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "S2MLPv2"
RECIPES = {
    # Yu et al., 2021, section 5. Medium uses a batch of 744.
    "s2_mlp_v2_imagenet": dict(
        IMAGENET,
        learning_rate=2e-3,
        warmup_epochs=10,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.9999,
        drop_path_rate=0.1,
    ),
}
