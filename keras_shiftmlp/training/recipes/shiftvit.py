"""Recipes of ShiftViT."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "ShiftViT"
RECIPES = {
    # Wang et al., 2022: the defaults of the released code, DeiT's with a longer warm-up. The code
    # also repeats augmented images. The rate is that of the Tiny models; Small has 0.4.
    "shiftvit_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        ema_momentum=0.99996,
        drop_path_rate=0.2,
    ),
}
