"""Recipes of ResMLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "ResMLP"
RECIPES = {
    # Touvron et al., 2021 (ResMLP): 400 epochs, otherwise DeiT's recipe. The paper trains with Lamb
    # at a learning rate of 5e-3 and a weight decay of 0.2. `train` has AdamW, so learning rate and
    # weight decay are DeiT's.
    "resmlp_imagenet": dict(
        IMAGENET,
        epochs=400,
        learning_rate=1e-3,
        warmup_epochs=5,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
        crop_fraction=0.9,
    ),
}
