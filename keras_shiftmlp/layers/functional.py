"""Building blocks that several families use, as functions on Keras tensors."""

from typing import Any, Literal

import keras

from keras_shiftmlp.kernels.batch_norm import BatchNormalization
from keras_shiftmlp.kernels.dense import Conv2D, Dense
from keras_shiftmlp.kernels.gelu import gelu_activation
from keras_shiftmlp.kernels.initializers import initializers
from keras_shiftmlp.layers.affine import Affine
from keras_shiftmlp.layers.names import pyramid_level_name
from keras_shiftmlp.layers.token_dense import TokenDense

# PyTorch code writes `trunc_normal_(std=0.02)`, which truncates at -2 and 2, a hundred standard
# deviations away; Keras's TruncatedNormal truncates at two.
NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}


def patch_embedding(
    x: Any, dim: int, patch_size: int, *, kernel_initializer: Any = None, name: str = "stem"
) -> Any:
    """Cuts an image or map into patches and projects each to `dim` channels.

    A convolution whose stride is its kernel size, with padding `"same"`: a size that is not a
    multiple of the patch is padded with zeros, not cropped.

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
    return Conv2D(
        dim,
        patch_size,
        strides=patch_size,
        padding="same",
        data_format="channels_last",
        kernel_initializer=kernel_initializer or uniform,
        bias_initializer="zeros" if kernel_initializer else uniform,
        name=name,
    )(x)


def normalization(
    x: Any, norm: Literal["layer", "batch", "affine"], *, epsilon: float, name: str
) -> Any:
    """Normalises a map or tokens in the way that `norm` names.

    Args:
        x: Tensor `(..., C)`.
        norm: `"layer"`, over the channels of each position; `"batch"`, each channel over all
            positions of the batch; `"affine"`, ResMLP's scale and offset without statistics.
        epsilon: Added to the variance; `"affine"` has none.
        name: Name of the layer.

    Returns:
        Tensor of the input's shape.

    Example:

    >>> normalization(keras.Input((7, 7, 16)), "batch", epsilon=1e-5, name="norm").shape
    (None, 7, 7, 16)
    """
    if norm == "affine":
        return Affine(name=name)(x)
    if norm == "batch":
        # PyTorch's momentum: short trainings need statistics that follow the weights.
        return BatchNormalization(momentum=0.9, epsilon=epsilon, name=name)(x)
    return keras.layers.LayerNormalization(epsilon=epsilon, name=name)(x)


def channel_mlp(
    x: Any,
    hidden_dim: int,
    *,
    gelu: Literal["erf", "tanh"] = "erf",
    kernel_initializer: Any = "glorot_uniform",
    name: str = "channel",
) -> Any:
    """Mixes the channels of every position: `GELU(x W_1 + b_1) W_2 + b_2`.

    Adds two `keras.layers.Dense` called `<name>_fc1` and `<name>_fc2` to a functional model, so
    quantisation and LoRA work on them.

    Args:
        x: Tensor `(..., C)`.
        hidden_dim: Width between the two layers.
        gelu: `"erf"` for the exact GELU (PyTorch's), `"tanh"` for its approximation (flax's).
        kernel_initializer: Initializer of both kernels; biases start at zero. `None` draws both
            uniformly within `1 / sqrt(fan_in)`, PyTorch's default.
        name: Prefix of the layer names.

    Returns:
        Tensor `(..., C)`.

    Raises:
        ValueError: For an unknown `gelu`.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601), Eq. 1, second line.

    Example:

    >>> channel_mlp(keras.Input((7, 7, 16)), 64).shape
    (None, 7, 7, 16)
    """
    activation = gelu_activation(gelu)
    dim = x.shape[-1]
    first, second = (initializers(kernel_initializer, width) for width in (dim, hidden_dim))
    y = Dense(hidden_dim, activation, **first, name=f"{name}_fc1")(x)
    return Dense(dim, **second, name=f"{name}_fc2")(y)


def token_mixing_mlp(
    x: Any,
    hidden_dim: int,
    *,
    gelu: Literal["erf", "tanh"] = "erf",
    kernel_initializer: Any = "lecun_normal",
    name: str = "token",
) -> Any:
    """Mixes the `S` positions of every channel: `W_2 GELU(W_1 x + b_1) + b_2` over the tokens.

    Adds two `TokenDense` called `<name>_fc1` and `<name>_fc2` to a functional model. Their kernels
    have the shapes `(S, hidden_dim)` and `(hidden_dim, S)`, as in Google's files.

    Args:
        x: Tensor `(B, S, C)` with known `S` and `C`; the kernels depend on `S`.
        hidden_dim: Width between the two layers.
        gelu: `"erf"` for the exact GELU (PyTorch's), `"tanh"` for its approximation (flax's).
        kernel_initializer: Initializer of both kernels; biases start at zero.
        name: Prefix of the layer names.

    Returns:
        Tensor `(B, S, C)`.

    Raises:
        ValueError: For an unknown `gelu`.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601), Eq. 1, first line.

    Example:

    >>> token_mixing_mlp(keras.Input((49, 16)), 32).shape
    (None, 49, 16)
    """
    fc1 = TokenDense(
        hidden_dim,
        activation=gelu_activation(gelu),
        kernel_initializer=kernel_initializer,
        name=f"{name}_fc1",
    )
    fc2 = TokenDense(x.shape[1], kernel_initializer=kernel_initializer, name=f"{name}_fc2")
    return fc2(fc1(x))


def stochastic_depth(x: Any, rate: float, *, name: str) -> Any:
    """Drops `x` for a random share `rate` of the images and divides the rest by `1 - rate`.

    This is `keras.layers.Dropout` with one draw per image. A rate of zero adds no layer.

    Args:
        x: Tensor `(B, ...)`, the output of a residual branch.
        rate: Probability that an image loses the branch, in `[0, 1)`.
        name: Name of the layer.

    Returns:
        Tensor of the input's shape; `x` itself for a rate of zero.

    Reference: [Deep Networks with Stochastic Depth](https://arxiv.org/abs/1603.09382).

    Example:

    >>> stochastic_depth(keras.Input((7, 7, 16)), 0.1, name="drop").shape
    (None, 7, 7, 16)
    """
    if not rate:
        return x
    noise_shape = (None,) + (1,) * (len(x.shape) - 1)
    return keras.layers.Dropout(rate, noise_shape=noise_shape, name=name)(x)


def add_branch(x: Any, y: Any, drop_path_rate: float, *, name: str) -> Any:
    """The end of a residual branch: `x + stochastic_depth(y)`."""
    y = stochastic_depth(y, drop_path_rate, name=f"{name}_drop_path")
    return keras.layers.Add(name=f"{name}_add")([x, y])


def linear_rates(rate: float, depth: int) -> list[float]:
    """Rates that grow linearly from 0 at the first of `depth` blocks to `rate` at the last.

    Example:

    >>> linear_rates(0.2, 3)
    [0.0, 0.1, 0.2]
    """
    return [rate * index / max(1, depth - 1) for index in range(depth)]


def pyramid_level(x: Any, stride: int) -> Any:
    """Marks a feature map as level `P<log2(stride)>`; other strides have no level."""
    if stride & (stride - 1):
        return x
    return keras.layers.Identity(name=pyramid_level_name(stride))(x)
