"""Recipe of CycleMLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "CycleMLP"
RECIPES = {
    # Chen et al., 2021, section 4.1 and the released code, DeiT's settings. The code also repeats
    # each image three times per batch, which `train` does not.
    "cycle_mlp_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        warmup_learning_rate=1e-6,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.1,
    ),
}
