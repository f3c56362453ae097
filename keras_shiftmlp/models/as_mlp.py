"""AS-MLP: a pyramid whose channel groups move along rows and columns between channel products.

Paper: https://arxiv.org/abs/2107.08391 (Lian et al., 2021). Reference code: svip-lab/AS-MLP.

Paper and code agree; the shift size is that of the released configuration files. Every norm takes
its statistics over all positions and channels of an image. The code needs sides that are multiples
of 32; here, an odd map gets a line of zeros before its patches are merged.
"""

from collections.abc import Sequence

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.layers.axial_shift import AxialShift, check_shift_size
from keras_shiftmlp.layers.functional import (
    NORMAL,
    add_branch,
    linear_rates,
    patch_embedding,
    pyramid_level,
)
from keras_shiftmlp.layers.patch_merging import PatchMerging
from keras_shiftmlp.models._arguments import check_hidden_widths, check_integers, check_stages
from keras_shiftmlp.models._constructor import Constructor

# Table 1 of the paper and the released configuration files.
CONFIGS = {
    "Tiny": dict(dims=(96, 192, 384, 768), depths=(2, 2, 6, 2)),
    "Small": dict(dims=(96, 192, 384, 768), depths=(2, 2, 18, 2)),
    "Base": dict(dims=(128, 256, 512, 1024), depths=(2, 2, 18, 2)),
}
PAPER = {
    "Tiny": dict(params="28M", macs="4.4", top1="81.3"),
    "Small": dict(params="50M", macs="8.5", top1="83.1"),
    "Base": dict(params="88M", macs="15.2", top1="83.3"),
}


def norm(x, *, name):
    """GroupNormalization in one group: the statistics of all positions and channels."""
    return keras.layers.GroupNormalization(groups=1, axis=-1, epsilon=1e-5, name=name)(x)


def dense(x, units, activation=None, *, use_bias=True, name):
    """A 1 x 1 convolution that starts as PyTorch's: uniform within `1 / sqrt(fan_in)`."""
    limit = x.shape[-1] ** -0.5
    uniform = {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}
    start = dict(kernel_initializer=uniform, bias_initializer=uniform)
    return Dense(units, activation, use_bias=use_bias, **start, name=name)(x)


def as_mlp_block(x, *, shift_size, mlp_ratio, drop_path_rate, name):
    """Section 3.2 and Algorithm 1 of the paper on `(B, H, W, C)`."""
    dim = x.shape[-1]

    y = norm(x, name=f"{name}_spatial_norm")
    y = dense(y, dim, name=f"{name}_spatial_fc1")
    y = norm(y, name=f"{name}_spatial_fc1_norm")
    y = keras.layers.Activation(gelu, name=f"{name}_spatial_fc1_gelu")(y)
    h = AxialShift(shift_size, "horizontal", name=f"{name}_spatial_horizontal_shift")(y)
    h = dense(h, dim, gelu, name=f"{name}_spatial_horizontal_fc")
    v = AxialShift(shift_size, "vertical", name=f"{name}_spatial_vertical_shift")(y)
    v = dense(v, dim, gelu, name=f"{name}_spatial_vertical_fc")
    y = keras.layers.Add(name=f"{name}_spatial_sum")([h, v])
    y = norm(y, name=f"{name}_spatial_sum_norm")
    y = dense(y, dim, name=f"{name}_spatial_fc2")
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    y = norm(x, name=f"{name}_channel_norm")
    y = dense(y, int(mlp_ratio * dim), gelu, name=f"{name}_channel_fc1")
    y = dense(y, dim, name=f"{name}_channel_fc2")
    return add_branch(x, y, drop_path_rate, name=f"{name}_channel")


def as_mlp(
    patch_size: int = 4,
    dims: Sequence[int] = (96, 192, 384, 768),
    depths: Sequence[int] = (2, 2, 6, 2),
    shift_size: int = 5,
    mlp_ratio: float = 4,
):
    """AS-MLP of any size.

    Args:
        patch_size: Side of the first stage's patches in pixels; later stages halve the map.
        dims: Channels of each stage.
        depths: Blocks of each stage.
        shift_size: Odd number of channel groups, which move by up to `(shift_size - 1) / 2`
            positions to either side.
        mlp_ratio: Hidden width of the channel MLP, in multiples of the stage's channels.

    Reference: [AS-MLP](https://arxiv.org/abs/2107.08391).

    Example:

    >>> ASMLP(dims=(20, 40), depths=(1, 1), input_shape=(32, 48, 3), classes=5).output_shape
    (None, 5)
    """
    check_stages(dims=dims, depths=depths)
    check_integers(patch_size=patch_size, dims=dims, depths=depths, shift_size=shift_size)
    check_shift_size(shift_size)
    check_hidden_widths(mlp_ratio=mlp_ratio, dims=dims)

    def features(x, drop_path_rate):
        rates = iter(linear_rates(drop_path_rate, sum(depths)))
        for s, (dim, depth) in enumerate(zip(dims, depths)):
            name = f"stage_{s}"
            if s == 0:
                x = patch_embedding(x, dim, patch_size, name=f"{name}_stem")
                x = norm(x, name=f"{name}_stem_norm")
            else:
                x = PatchMerging(name=f"{name}_stem")(x)
                x = norm(x, name=f"{name}_stem_norm")
                x = dense(x, dim, use_bias=False, name=f"{name}_stem_reduction")
            for i in range(depth):
                x = as_mlp_block(
                    x,
                    shift_size=shift_size,
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                    name=f"{name}_block_{i}",
                )
            if s == len(dims) - 1:
                x = norm(x, name="norm")
            x = pyramid_level(x, patch_size * 2**s)
        return x

    return features


ASMLP = Constructor("ASMLP", as_mlp, preprocessing="imagenet_mean_std", head_initializer=NORMAL)
ASMLPTiny = ASMLP.size("ASMLPTiny", CONFIGS["Tiny"], PAPER["Tiny"])
ASMLPSmall = ASMLP.size("ASMLPSmall", CONFIGS["Small"], PAPER["Small"])
ASMLPBase = ASMLP.size("ASMLPBase", CONFIGS["Base"], PAPER["Base"])
