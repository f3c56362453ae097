"""Recipes of MS-MLP."""

from keras_shiftmlp.training.recipes._imagenet import IMAGENET

FAMILY = "MSMLP"
_COMMON = dict(
    IMAGENET,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    warmup_epochs=20,
    clip_norm=5.0,
    randaugment=(2, 0.9),
    mixup=0.8,
    cutmix=1.0,
    erase=0.25,
)
RECIPES = {
    # Zheng et al., 2022: paper and released code differ in drop path (Tiny; 0.3 and 0.4 for
    # Small, 0.5 for Base) and in where the warm-up starts.
    "ms_mlp_imagenet_paper": dict(_COMMON, warmup_learning_rate=1e-5, drop_path_rate=0.2),
    "ms_mlp_imagenet_code": dict(_COMMON, warmup_learning_rate=1e-6, drop_path_rate=0.1),
}
