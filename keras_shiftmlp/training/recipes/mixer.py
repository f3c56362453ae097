"""Recipes of MLP-Mixer."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "Mixer"
RECIPES = {
    # Tolstikhin et al., 2021, Table 4, the rows of ImageNet-1k. Linear decay. RandAugment's
    # magnitude 15 is on a scale of 30. In the authors' code, weight decay does not depend on the
    # learning rate.
    "mixer_imagenet": dict(
        IMAGENET,
        batch_size=4096,
        learning_rate=1e-3,
        schedule="linear",
        warmup_steps=10_000,
        weight_decay=0.1,
        clip_norm=1.0,
        label_smoothing=0.0,
        randaugment=(2, 0.5),
        mixup=0.5,
        drop_path_rate=0.1,
    ),
}
