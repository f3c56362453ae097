"""The token-mixing MLP of MLP-Mixer."""

from keras_shiftmlp.kernels.gelu import gelu_activation
from keras_shiftmlp.kernels.initializers import built, fresh_initializer
from keras_shiftmlp.layers.token_dense import TokenDense


def token_mixing_mlp(
    x,
    hidden_dim: int,
    *,
    gelu: str = "erf",
    kernel_initializer="lecun_normal",
    name: str = "token",
):
    """Mixes the `S` positions of every channel: `W_2 GELU(W_1 x + b_1) + b_2` over the tokens.

    Adds two `TokenDense` called `<name>_fc1` and `<name>_fc2` to a functional model; their kernels
    are laid out `(S, hidden_dim)` and `(hidden_dim, S)`, as in Google's files.

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

    >>> import keras
    >>> x = keras.Input((49, 16))
    >>> token_mixing_mlp(x, 32).shape
    (None, 49, 16)
    """
    fc1 = TokenDense(
        hidden_dim,
        gelu_activation(gelu),
        kernel_initializer=fresh_initializer(kernel_initializer),
        name=f"{name}_fc1",
    )
    y = built(fc1, x.shape)(x)
    fc2 = TokenDense(
        x.shape[1], kernel_initializer=fresh_initializer(kernel_initializer), name=f"{name}_fc2"
    )
    return built(fc2, y.shape)(y)
