"""ConvMixer: depthwise convolutions between positions, a dense layer between channels.

Paper: https://arxiv.org/abs/2201.09792 (Trockman and Kolter, 2022). Reference code: timm
(`convmixer.py`), which the authors wrote for their released files.

Each convolution is followed by its activation and then by a BatchNormalization, not the other way
round. The released 768/32 was trained with ReLU, the others with GELU.
"""

from typing import Literal

import keras

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.depthwise import DepthwiseConv2D
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.kernels.initializers import initializers
from keras_shiftmlp.layers.functional import (
    add_branch,
    linear_rates,
    normalization,
    pyramid_level,
)
from keras_shiftmlp.layers.strided_conv import strided_conv
from keras_shiftmlp.models._arguments import check_choice, check_integers
from keras_shiftmlp.models._constructor import Constructor

# The paper calls them ConvMixer-<dim>/<depth>.
CONFIGS = {
    "768_32": dict(dim=768, depth=32, kernel_size=7, patch_size=7, activation="relu"),
    "1024_20": dict(dim=1024, depth=20, kernel_size=9, patch_size=14),
    "1536_20": dict(dim=1536, depth=20, kernel_size=9, patch_size=7),
}
PAPER = {
    "768_32": dict(params="21.1M", macs="–", top1="80.2"),
    "1024_20": dict(params="24.4M", macs="–", top1="76.9"),
    "1536_20": dict(params="51.6M", macs="–", top1="81.4"),
}
ACTIVATIONS = {"gelu": gelu, "relu": keras.activations.relu}
EPSILON = 1e-5  # of every norm


def conv_mixer_block(x, *, kernel_size, activation, drop_path_rate, name):
    """Section 2 of the paper on `(B, H, W, C)`: Eq. 2, then Eq. 3."""
    # z' = z + BN(activation(depthwise convolution(z)))
    y = DepthwiseConv2D(kernel_size, use_bias=True, name=f"{name}_spatial")(x)
    y = keras.layers.Activation(activation, name=f"{name}_spatial_activation")(y)
    y = normalization(y, "batch", epsilon=EPSILON, name=f"{name}_spatial_norm")
    x = add_branch(x, y, drop_path_rate, name=f"{name}_spatial")

    # z = BN(activation(pointwise convolution(z')))
    dim = x.shape[-1]
    x = Dense(dim, activation, **initializers(None, dim), name=f"{name}_channel")(x)
    return normalization(x, "batch", epsilon=EPSILON, name=f"{name}_channel_norm")


def conv_mixer(
    patch_size: int = 7,
    dim: int = 768,
    depth: int = 32,
    kernel_size: int = 7,
    activation: Literal["gelu", "relu"] = "gelu",
):
    """ConvMixer of any size.

    Args:
        patch_size: Side `p` of a patch in pixels; what is left of a side is cropped.
        dim: Channels `C` of every position, the paper's `h`.
        depth: Number of blocks.
        kernel_size: Odd side `k` of the depthwise kernels.
        activation: `"gelu"` for the exact GELU, or `"relu"`.

    Reference: [ConvMixer](https://arxiv.org/abs/2201.09792).

    Example:

    >>> ConvMixer(patch_size=4, dim=16, depth=2, kernel_size=5, input_shape=(32, 32, 3),
    ...           classes=5).output_shape
    (None, 5)
    """
    check_integers(patch_size=patch_size, dim=dim, depth=depth, kernel_size=kernel_size)
    check_choice(ACTIVATIONS, activation=activation)
    if kernel_size % 2 == 0:
        raise ValueError(f"`kernel_size` must be odd. Received: `{kernel_size=}`")
    function = ACTIVATIONS[activation]

    def features(x, drop_path_rate):
        # Eq. 1: z = BN(activation(convolution(x, stride p, kernel size p)))
        x = strided_conv(x, dim, patch_size, patch_size, 0, name="stem")
        x = keras.layers.Activation(function, name="stem_activation")(x)
        x = normalization(x, "batch", epsilon=EPSILON, name="stem_norm")
        for i, rate in enumerate(linear_rates(drop_path_rate, depth)):
            x = conv_mixer_block(
                x,
                kernel_size=kernel_size,
                activation=function,
                drop_path_rate=rate,
                name=f"block_{i}",
            )
        return pyramid_level(x, patch_size)

    return features


def check_shape(shape, patch_size: int, **_) -> None:
    """Raises unless an image holds at least one patch."""
    if any(side is not None and side < patch_size for side in shape[:2]):
        raise ValueError(
            f"Images must be at least {patch_size} by {patch_size}, one patch. "
            f"Received: `input_shape={shape}`"
        )


ConvMixer = Constructor(
    "ConvMixer", conv_mixer, preprocessing="imagenet_mean_std", check_shape=check_shape
)
ConvMixer768_32 = ConvMixer.size("ConvMixer768_32", CONFIGS["768_32"], PAPER["768_32"])
ConvMixer1024_20 = ConvMixer.size("ConvMixer1024_20", CONFIGS["1024_20"], PAPER["1024_20"])
ConvMixer1536_20 = ConvMixer.size("ConvMixer1536_20", CONFIGS["1536_20"], PAPER["1536_20"])
