"""A strided convolution with the padding of PyTorch code."""

from typing import Any

import keras

from keras_shiftmlp.kernels.dense import Conv2D
from keras_shiftmlp.kernels.initializers import initializers


def strided_conv(
    x,
    dim: int,
    kernel_size: int,
    stride: int,
    padding: int,
    *,
    kernel_initializer: Any = None,
    use_bias: bool = True,
    name: str = "stem",
):
    """Embeds patches that may overlap: zeros on all four sides, then a convolution.

    Keras's padding `"same"` would put the odd zero at the end, and other pixels under the kernel.

    Args:
        x: Tensor `(B, H, W, C)`; sizes may be unknown.
        dim: Channels of the output.
        kernel_size: Side of the kernel `k`.
        stride: Stride `s`.
        padding: Rows and columns `p` of zeros on each side.
        kernel_initializer: Initializer of the kernel, with a zero bias. `None` draws both
            uniformly within `1 / sqrt(fan_in)`, PyTorch's default for convolutions.
        use_bias: Whether the convolution has a bias.
        name: Name of the convolution; the layer of the padding is called `<name>_padding`.

    Returns:
        Tensor `(B, floor((H + 2p - k) / s) + 1, floor((W + 2p - k) / s) + 1, dim)`.

    Example:

    >>> strided_conv(keras.Input((224, 224, 3)), 64, kernel_size=7, stride=4, padding=2).shape
    (None, 56, 56, 64)
    """
    if padding:
        x = keras.layers.ZeroPadding2D(
            padding, data_format="channels_last", name=f"{name}_padding"
        )(x)
    return Conv2D(
        dim,
        kernel_size,
        strides=stride,
        data_format="channels_last",
        use_bias=use_bias,
        **initializers(kernel_initializer, kernel_size * kernel_size * x.shape[-1]),
        name=name,
    )(x)
