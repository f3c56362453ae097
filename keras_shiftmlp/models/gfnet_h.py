"""GFNet-H: the pyramid of GFNet, four stages of global filters.

Paper: https://arxiv.org/abs/2107.00645 (Rao et al., 2021). Reference code: raoyongming/GFNet. This
follows the code, which made the checkpoints: every block has a layer scale, of which the paper says
nothing, and only the first stage has a position embedding.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.layers.functional import NORMAL, linear_rates, patch_embedding, pyramid_level
from keras_shiftmlp.layers.position_embedding import PositionEmbedding
from keras_shiftmlp.models._arguments import check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor
from keras_shiftmlp.models.gfnet import NORM_EPSILON, gfnet_block

# Table 1 of the paper and the released code.
CONFIGS = {
    "Ti": dict(dims=(64, 128, 256, 512), depths=(3, 3, 10, 3), layer_scale_init=1e-3),
    "S": dict(dims=(96, 192, 384, 768), depths=(3, 3, 10, 3), layer_scale_init=1e-5),
    "B": dict(dims=(96, 192, 384, 768), depths=(3, 3, 27, 3), layer_scale_init=1e-6),
}
PAPER = {
    "Ti": dict(params="15M", macs="2.0", top1="80.1"),
    "S": dict(params="32M", macs="4.5", top1="81.5"),
    "B": dict(params="54M", macs="8.4", top1="82.9"),
}


def gfnet_h(
    patch_size: int = 4,
    dims: Sequence[int] = (64, 128, 256, 512),
    depths: Sequence[int] = (3, 3, 10, 3),
    mlp_ratio: int = 4,
    layer_scale_init: float = 1e-3,
):
    """GFNet-H of any size.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.
        layer_scale_init: Initial value of every layer scale.

    Reference: [GFNet](https://arxiv.org/abs/2107.00645), section 3.3.

    Example:

    >>> GFNetH(dims=(8, 16), depths=(1, 1), input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths)
    check_integers(patch_size=patch_size, dims=dims, depths=depths, mlp_ratio=mlp_ratio)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            x = patch_embedding(x, dim, patch_size if s == 0 else 2, name=f"stage_{s}_stem")
            if s == 0:
                x = PositionEmbedding(NORMAL, name="stage_0_stem_position")(x)
            for i in range(depth):
                x = gfnet_block(
                    x,
                    mlp_ratio=mlp_ratio,
                    layer_scale_init=layer_scale_init,
                    drop_path_rate=next(rates),
                    name=f"stage_{s}_block_{i}",
                )
            if s == len(dims) - 1:
                x = keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x)
            x = pyramid_level(x, patch_size * 2**s)
        return x

    return features


GFNetH = Constructor(
    "GFNetH", gfnet_h, preprocessing="imagenet_mean_std", any_size=False, head_initializer=NORMAL
)
GFNetHTiny = GFNetH.size("GFNetHTiny", CONFIGS["Ti"], PAPER["Ti"])
GFNetHS = GFNetH.size("GFNetHS", CONFIGS["S"], PAPER["S"])
GFNetHB = GFNetH.size("GFNetHB", CONFIGS["B"], PAPER["B"])
