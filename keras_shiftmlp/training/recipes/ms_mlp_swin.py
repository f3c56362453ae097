"""Recipes of MS-MLP with Swin Transformer."""

from keras_shiftmlp.training.recipes import ms_mlp

FAMILY = "MSMLPSwin"
# Zheng et al., 2022: the paper trains the hybrid like its other networks.
RECIPES = {"ms_mlp_swin_imagenet": ms_mlp.RECIPES["ms_mlp_imagenet_paper"]}
