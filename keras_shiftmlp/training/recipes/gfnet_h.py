"""Recipe of GFNet-H."""

from keras_shiftmlp.training.recipes import gfnet

FAMILY = "GFNetH"
RECIPES = {
    # As GFNet, with the drop path of H-Ti in the released code; H-S has 0.2, H-B 0.4.
    "gfnet_h_imagenet": dict(gfnet.RECIPES["gfnet_imagenet"], drop_path_rate=0.1),
}
