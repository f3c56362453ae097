"""Patch embedding: one linear map per non-overlapping patch."""

import keras

from keras_shiftmlp.kernels.initializers import built, fresh_initializer


def patch_embedding(
    x,
    dim: int,
    patch_size: int,
    *,
    kernel_initializer=None,
    name: str = "stem",
):
    """Cuts an image or map into patches and projects each to `dim` channels.

    A convolution whose stride is its kernel size. It pads `"same"`: sizes that are a multiple of
    the patch get no padding, as in the papers, and others are padded rather than cropped.

    Args:
        x: Tensor `(B, H, W, C)`; sizes may be unknown.
        dim: Channels of a patch's vector.
        patch_size: Side of a patch in pixels.
        kernel_initializer: Initializer of the kernel, with a zero bias. `None` draws both
            uniformly within `1 / sqrt(fan_in)`, PyTorch's default for convolutions.
        name: Name of the layer.

    Returns:
        Tensor `(B, ceil(H / patch_size), ceil(W / patch_size), dim)`.

    Example:

    >>> patch_embedding(keras.Input((224, 224, 3)), 96, 4).shape
    (None, 56, 56, 96)
    """
    limit = (patch_size * patch_size * x.shape[-1]) ** -0.5
    uniform = {"class_name": "RandomUniform", "config": {"minval": -limit, "maxval": limit}}
    layer = keras.layers.Conv2D(
        dim,
        patch_size,
        strides=patch_size,
        padding="same",
        data_format="channels_last",
        kernel_initializer=fresh_initializer(kernel_initializer or uniform),
        bias_initializer="zeros" if kernel_initializer else uniform,
        name=name,
    )
    return built(layer, x.shape)(x)
