"""Recipe of GFNet."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "GFNet"
RECIPES = {
    # Rao et al., 2021, section 4.1 and the released code, without random erasing. Drop path for Ti
    # and XS; S has 0.15, B 0.25.
    "gfnet_imagenet": dict(
        IMAGENET,
        learning_rate=1e-3,
        warmup_epochs=5,
        warmup_learning_rate=1e-6,
        clip_norm=1.0,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        drop_path_rate=0.0,
    ),
}
