"""S2-MLP: tokens meet by a spatial shift between two channel MLPs, without any parameter.

Paper: https://arxiv.org/abs/2106.07477 (Yu et al., 2021). The authors published no code; norms
stand where Figure 1 draws them, after FC2 and FC4 inside the branch. Public PyTorch code puts
them before FC1 and FC3 and leaves out the norm of the embedding: `norm_position="pre"`,
`embed_norm=False`.
"""

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.kernels.initializers import NORMAL, built
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.channel_mlp import channel_mlp
from keras_shiftmlp.layers.patch_embedding import patch_embedding
from keras_shiftmlp.layers.spatial_shift import SpatialShift
from keras_shiftmlp.layers.stochastic_depth import linear_rates, stochastic_depth
from keras_shiftmlp.models._arguments import check_positive
from keras_shiftmlp.models._constructor import constructor, pyramid_level, variant

# Tables 2 and 3 of the paper.
CONFIGS = {
    "wide": dict(patch_size=16, dim=768, depth=12, mlp_ratio=4, norm="layer"),
    "deep": dict(patch_size=16, dim=384, depth=36, mlp_ratio=4, norm="affine"),
    # Ours, for images of 32 x 32: 8 x 8 positions, one block for each step across the map.
    "nano": dict(patch_size=4, dim=128, depth=8, mlp_ratio=3, norm="layer"),
}


def s2_mlp_block(
    x, mlp_ratio, shift, shift_order, norm, norm_position, norm_epsilon, drop_path_rate, name
):
    """Two residual branches on `(B, H, W, C)`: FC1, GELU, shift, FC2; then FC3, GELU, FC4."""
    dim = x.shape[-1]

    def shift_mlp(y, name):
        fc1 = Dense(dim, gelu, kernel_initializer=NORMAL, name=f"{name}_fc1")
        fc2 = Dense(dim, kernel_initializer=NORMAL, name=f"{name}_fc2")
        y = SpatialShift(shift, shift_order, name=f"{name}_shift")(built(fc1, y.shape)(y))
        return built(fc2, y.shape)(y)

    def mlp(y, name):
        return channel_mlp(y, mlp_ratio * dim, kernel_initializer=NORMAL, name=name)

    def normalize(y, name):
        if norm == "affine":
            return Affine(name=name)(y)
        return keras.layers.LayerNormalization(epsilon=norm_epsilon, name=name)(y)

    for branch, layers in ((f"{name}_spatial", shift_mlp), (f"{name}_channel", mlp)):
        y = normalize(x, f"{branch}_norm") if norm_position == "pre" else x
        y = layers(y, branch)
        y = normalize(y, f"{branch}_norm") if norm_position == "post" else y
        y = stochastic_depth(y, drop_path_rate, name=f"{branch}_drop_path")
        x = keras.layers.Add(name=f"{branch}_add")([x, y])
    return x


@constructor(preprocessing="imagenet_mean_std", head_initializer=NORMAL)
def S2MLP(
    x,
    drop_path_rate,
    patch_size: int = 16,
    dim: int = 384,
    depth: int = 36,
    mlp_ratio: int = 4,
    shift: str = "a",
    shift_order: str = "hw",
    norm: str = "layer",
    norm_position: str = "post",
    embed_norm: bool = True,
    norm_epsilon: float = 1e-5,
):
    """S2-MLP of any size.

    Args:
        patch_size: Side of a patch in pixels.
        dim: Channels `C` of every position.
        depth: Number of blocks.
        mlp_ratio: Hidden width of the channel MLP, in multiples of `dim`.
        shift: Setting of the spatial shift, `"a"` to `"j"`; see `layers.SpatialShift`.
        shift_order: `"hw"` or `"wh"`: the axis of the first two channel groups.
        norm: `"layer"`, or `"affine"` for ResMLP's scale and offset without statistics.
        norm_position: `"post"`, after the second layer of each branch, as the paper draws it;
            `"pre"`, before the first, as public PyTorch code has it.
        embed_norm: Whether a LayerNormalization follows the patch embedding.
        norm_epsilon: Epsilon of every LayerNormalization.
    {common}
    Reference: [S2-MLP](https://arxiv.org/abs/2106.07477).

    Example:

    >>> S2MLP(patch_size=8, dim=16, depth=2, input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_positive(patch_size=patch_size, dim=dim, depth=depth, mlp_ratio=mlp_ratio)
    for argument, value, choices in (
        ("norm", norm, ("layer", "affine")),
        ("norm_position", norm_position, ("pre", "post")),
    ):
        if value not in choices:
            raise ValueError(
                f"`{argument}` must be {choices[0]!r} or {choices[1]!r}. "
                f"Received: `{argument}={value!r}`"
            )
    SpatialShift(shift, shift_order).compute_output_shape((None, None, None, dim))
    x = patch_embedding(x, dim, patch_size, name="stem")
    if embed_norm:
        x = keras.layers.LayerNormalization(epsilon=norm_epsilon, name="stem_norm")(x)
    block = (mlp_ratio, shift, shift_order, norm, norm_position, norm_epsilon)
    for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
        x = s2_mlp_block(x, *block, rate, name=f"block_{i}")
    return pyramid_level(x, patch_size)


S2MLPWide = variant("S2MLPWide", S2MLP, CONFIGS["wide"])
S2MLPDeep = variant("S2MLPDeep", S2MLP, CONFIGS["deep"])
S2MLPNano = variant("S2MLPNano", S2MLP, CONFIGS["nano"], image_size=32, weights="cifar10")
