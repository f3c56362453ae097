"""The channel-mixing MLP that all families share."""

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.kernels.gelu import gelu_activation
from keras_shiftmlp.kernels.initializers import built, fresh_initializer


def channel_mlp(
    x,
    hidden_dim: int,
    *,
    gelu: str = "erf",
    kernel_initializer="glorot_uniform",
    name: str = "channel",
):
    """Mixes the channels of every position: `GELU(x W_1 + b_1) W_2 + b_2`.

    Adds two `keras.layers.Dense` called `<name>_fc1` and `<name>_fc2` to a functional model, so
    quantisation and LoRA work on them.

    Args:
        x: Tensor `(..., C)`.
        hidden_dim: Width between the two layers.
        gelu: `"erf"` for the exact GELU (PyTorch's), `"tanh"` for its approximation (flax's).
        kernel_initializer: Initializer of both kernels; biases start at zero.
        name: Prefix of the layer names.

    Returns:
        Tensor `(..., C)`.

    Raises:
        ValueError: For an unknown `gelu`.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601), Eq. 1, second line.

    Example:

    >>> import keras
    >>> x = keras.Input((7, 7, 16))
    >>> channel_mlp(x, 64).shape
    (None, 7, 7, 16)
    """
    fc1 = Dense(
        hidden_dim,
        gelu_activation(gelu),
        kernel_initializer=fresh_initializer(kernel_initializer),
        name=f"{name}_fc1",
    )
    y = built(fc1, x.shape)(x)
    fc2 = Dense(
        x.shape[-1], kernel_initializer=fresh_initializer(kernel_initializer), name=f"{name}_fc2"
    )
    return built(fc2, y.shape)(y)
