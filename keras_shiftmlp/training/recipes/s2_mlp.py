"""Recipes of S2-MLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "S2MLP"
RECIPES = {
    # Yu et al., 2021, section 4.1, "the DeiT strategy"; the paper gives no drop path rate and no
    # length of the warm-up, these are DeiT's.
    "s2_mlp_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
    ),
}
