"""Recipe of Vision Permutator."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "ViP"
RECIPES = {
    # Hou et al., 2021, section 4.1 and the released code, for Small. Medium has a drop path of 0.2,
    # Large 0.3.
    "vip_imagenet": dict(
        IMAGENET,
        batch_size=2048,
        learning_rate=2e-3,
        warmup_epochs=20,
        warmup_learning_rate=1e-6,
        crop_fraction=0.9,
        randaugment=(2, 0.9),
        mixup=0.8,
        cutmix=1.0,
        erase=0.25,
        drop_path_rate=0.1,
    ),
}
