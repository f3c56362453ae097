"""Recipes of gMLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "GMLP"
RECIPES = {
    # Liu et al., 2021 (gMLP), appendix, Small. The drop path rate is 0 for Tiny and 0.2 for Base.
    # RandAugment at DeiT's strength replaces the paper's AutoAugment, which `train` lacks.
    "gmlp_imagenet": dict(
        IMAGENET,
        batch_size=4096,
        learning_rate=1e-3,
        warmup_steps=10_000,
        clip_norm=1.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        drop_path_rate=0.05,
    ),
}
