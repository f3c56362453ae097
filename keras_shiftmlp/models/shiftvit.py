"""ShiftViT: a vision transformer whose attention is a shift of some channels, without parameters.

Paper: https://arxiv.org/abs/2201.10801 (Wang et al., 2022). Reference code: microsoft/SPACH
(`models/shiftvit.py`), which made the checkpoints and which this follows. The shortcut of a block
is the shifted map. Every norm takes its statistics over all positions and channels of an image. The
stem and the downsampling crop what does not fill a patch.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.dense import Conv2D
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    channel_mlp,
    linear_rates,
    pyramid_level,
)
from keras_shiftmlp.layers.partial_shift import PartialShift
from keras_shiftmlp.models._arguments import check_hidden_widths, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# The released configurations. R2 has narrow channel MLPs and many blocks.
_DIMS = (96, 192, 384, 768)
CONFIGS = {
    "Tiny/light": dict(dims=_DIMS, depths=(2, 2, 6, 2), mlp_ratio=4),
    "Tiny/R2": dict(dims=_DIMS, depths=(6, 8, 18, 6), mlp_ratio=2),
    "Small/light": dict(dims=_DIMS, depths=(2, 2, 18, 2), mlp_ratio=4),
    "Small/R2": dict(dims=_DIMS, depths=(10, 18, 36, 10), mlp_ratio=2),
}
PAPER = {
    "Tiny/light": dict(params="20M", macs="3.0", top1="79.4"),
    "Tiny/R2": dict(params="29M", macs="4.5", top1="81.7"),
    "Small/light": dict(params="34M", macs="5.7", top1="81.6"),
    "Small/R2": dict(params="50M", macs="8.8", top1="82.8"),
}


def norm(x, *, name):
    """GroupNormalization in one group: the statistics of all positions and channels."""
    return keras.layers.GroupNormalization(groups=1, axis=-1, epsilon=1e-5, name=name)(x)


def shiftvit_block(x, *, n_div, mlp_ratio, drop_path_rate, name):
    """The shift block of the paper on `(B, H, W, C)`; its shortcut begins after the shift."""
    x = PartialShift(n_div, name=f"{name}_shift")(x)
    y = norm(x, name=f"{name}_norm")
    hidden_dim = int(mlp_ratio * x.shape[-1])
    y = channel_mlp(y, hidden_dim, kernel_initializer=NORMAL, name=f"{name}_channel")
    return add_branch(x, y, drop_path_rate, name=name)


def shiftvit(
    patch_size: int = 4,
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (6, 8, 18, 6),
    n_div: int = 12,
    mlp_ratio: float = 2,
):
    """ShiftViT of any size.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        n_div: Number of equal divisions of the channels; each of the four directions of the shift
            takes one. The released models of 96 channels have 12, so a third of the channels moves.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.

    Reference: [ShiftViT](https://arxiv.org/abs/2201.10801).

    Example:

    >>> ShiftViT(dims=(24, 48), depths=(1, 1), input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths)
    check_integers(patch_size=patch_size, dims=dims, depths=depths, n_div=n_div)
    check_hidden_widths(mlp_ratio=mlp_ratio, dims=dims)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            name = f"stage_{s}"
            if s > 0:
                x = norm(x, name=f"{name}_stem_norm")
            side = patch_size if s == 0 else 2
            x = Conv2D(
                dim,
                side,
                strides=side,
                use_bias=s == 0,
                data_format="channels_last",
                kernel_initializer=NORMAL,
                name=f"{name}_stem",
            )(x)
            if s == 0:
                x = norm(x, name=f"{name}_stem_norm")
            for i in range(depth):
                x = shiftvit_block(
                    x,
                    n_div=n_div,
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                    name=f"{name}_block_{i}",
                )
            if s == len(dims) - 1:
                x = norm(x, name="norm")
            x = pyramid_level(x, patch_size * 2**s)
        return x

    return features


def check_shape(shape, patch_size: int, dims: Sequence[int], **_) -> None:
    """Raises unless a known side leaves a position for the last stage."""
    smallest = patch_size * 2 ** (len(dims) - 1)
    if any(side is not None and side < smallest for side in shape[:2]):
        raise ValueError(
            f"Height and width must be at least {smallest}, so that one position is left after "
            f"{len(dims)} stages. Received: `input_shape={shape}`"
        )


ShiftViT = Constructor(
    "ShiftViT",
    shiftvit,
    preprocessing="imagenet_mean_std",
    check_shape=check_shape,
    head_initializer=NORMAL,
)
ShiftViTTinyLight = ShiftViT.size("ShiftViTTinyLight", CONFIGS["Tiny/light"], PAPER["Tiny/light"])
ShiftViTTinyR2 = ShiftViT.size("ShiftViTTinyR2", CONFIGS["Tiny/R2"], PAPER["Tiny/R2"])
ShiftViTSmallLight = ShiftViT.size(
    "ShiftViTSmallLight", CONFIGS["Small/light"], PAPER["Small/light"]
)
ShiftViTSmallR2 = ShiftViT.size("ShiftViTSmallR2", CONFIGS["Small/R2"], PAPER["Small/R2"])
