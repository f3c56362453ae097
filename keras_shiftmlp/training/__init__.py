"""Recipes, data and the training loop. `keras_shiftmlp.training` is imported on first use."""

from keras_shiftmlp.kernels.device import is_faster_with_xla
from keras_shiftmlp.training.batches import evaluation_batches, training_batches
from keras_shiftmlp.training.images import Images, class_names_of, load_images
from keras_shiftmlp.training.optimizers import build_optimizer
from keras_shiftmlp.training.recipes import FAMILY_RECIPES, RECIPES, imagenet_recipe, recipe
from keras_shiftmlp.training.trainer import evaluate, train

__all__ = [
    "FAMILY_RECIPES",
    "RECIPES",
    "Images",
    "build_optimizer",
    "class_names_of",
    "evaluate",
    "evaluation_batches",
    "imagenet_recipe",
    "is_faster_with_xla",
    "load_images",
    "recipe",
    "train",
    "training_batches",
]
