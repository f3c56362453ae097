"""Recipes of AS-MLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "ASMLP"
RECIPES = {
    # Lian et al., 2021, section 4.1, and the released configuration files: Swin's recipe. The drop
    # path rate is Tiny's; Small has 0.3 and Base 0.5.
    "as_mlp_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        clip_norm=5.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.2,
    ),
}
