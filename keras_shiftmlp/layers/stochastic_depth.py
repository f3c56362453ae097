"""Stochastic depth: whole residual branches dropped at random, image by image."""

import keras


def stochastic_depth(x, rate: float, *, name: str):
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


def linear_rates(rate: float, depth: int) -> list[float]:
    """Rates that grow linearly from 0 at the first of `depth` blocks to `rate` at the last."""
    return [rate * index / max(1, depth - 1) for index in range(depth)]
