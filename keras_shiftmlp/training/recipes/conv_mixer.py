"""Recipes of ConvMixer."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "ConvMixer"
RECIPES = {
    # Trockman and Kolter, 2022: the command in the released README, 10 x 64 images, with the
    # weight decay of its train.py. The 768/32 had 300 epochs. Their rate follows one triangle, here
    # it is a cosine, as they suggest; `train` has AdamW's usual epsilon, not 1e-3.
    "conv_mixer_imagenet": dict(
        IMAGENET,
        epochs=150,
        batch_size=10 * 64,
        learning_rate=0.01,
        weight_decay=2e-5,
        clip_norm=1.0,
        randaugment=(2, 0.9),
        mixup=0.5,
        cutmix=0.5,
        erase=0.25,
        drop_path_rate=0.0,
        crop_fraction=0.96,
    ),
}
