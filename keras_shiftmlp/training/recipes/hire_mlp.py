"""Recipes of Hire-MLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "HireMLP"
RECIPES = {
    # Guo et al., 2021, and the released training code. It runs ten more epochs at the last learning
    # rate and repeats augmentations. The README gives the drop path rates 0 for Tiny and 0.2 for
    # Base.
    "hire_mlp_imagenet": dict(
        IMAGENET,
        batch_size=2048,
        learning_rate=2e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.0,
    ),
}
