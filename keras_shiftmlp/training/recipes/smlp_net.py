"""Recipes of sMLPNet."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "SMLPNet"
RECIPES = {
    # Tang et al., 2021, section 4, and the defaults of the released code. The drop path rates are 0
    # for Tiny, 0.2 for Small and 0.3 for Base.
    "smlp_net_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.0,
    ),
}
