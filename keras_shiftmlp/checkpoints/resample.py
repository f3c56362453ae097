"""Token-mixing weights for another image size."""

import math
import re

import numpy as np


def resample_tokens(array: np.ndarray, axis: int, grid: tuple[int, int], inputs: bool):
    """Carries weights over a square grid of tokens to another grid, by linear interpolation.

    Tokens are numbered row by row, so the axis is unfolded into rows and columns, each is
    interpolated with antialiasing, and folded again. The same grid gives the same weights.

    Args:
        array: Weights with one axis of `S = side * side` tokens.
        axis: That axis.
        grid: Rows and columns of the new grid.
        inputs: Whether the axis is summed over. Then the weights are scaled by the ratio of the
            token counts, so that an image twice as large sums to the same.

    Returns:
        The array with `grid[0] * grid[1]` along `axis`.

    Raises:
        ValueError: Where the tokens do not form a square.

    Example:

    >>> resample_tokens(np.ones((4, 3)), 0, (4, 4), inputs=True).sum(0)
    array([4., 4., 4.])
    """
    tokens = array.shape[axis]
    side = math.isqrt(tokens)
    if side * side != tokens:
        raise ValueError(
            f"Only a square grid of tokens can be resampled. Received: {tokens} tokens"
        )
    if (side, side) == tuple(grid):
        return array
    x = np.moveaxis(array, axis, 0).reshape(side, side, -1)
    rows, columns = (interpolation_matrix(side, new) for new in grid)
    x = np.einsum("ai,bj,ijc->abc", rows, columns, x.astype("float64"), optimize=True)
    if inputs:
        x *= tokens / (grid[0] * grid[1])
    rest = [size for i, size in enumerate(array.shape) if i != axis % array.ndim]
    # (H, W, rest) -> (S, rest) -> the axis back where it was
    x = np.moveaxis(x.reshape(grid[0] * grid[1], *rest), 0, axis)
    return np.ascontiguousarray(x, dtype=array.dtype)


def interpolation_matrix(old: int, new: int) -> np.ndarray:
    """`(new, old)` weights of linear interpolation between pixel centres; rows sum to one.

    Going to fewer positions the triangle is as wide as a new pixel, which is antialiasing.
    """
    scale = max(old / new, 1.0)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(old) - centres[:, None]) / scale)
    return weights / weights.sum(1, keepdims=True)


def token_grid(layers) -> tuple[int, int] | None:
    """Rows and columns of the tokens of a Mixer's layers, `None` for other families."""
    return next((tuple(x.target_shape[:2]) for x in layers if x.name == "map"), None)


def fit_token_weight(array, path: str, shape, grid: tuple[int, int] | None) -> np.ndarray:
    """`array` for the variable at `path`, resampled where its tokens are on another grid."""
    match = re.fullmatch(r"block_\d+_token_(fc1/kernel|fc2/kernel|fc2/bias)", path)
    if not match or grid is None or array.size == math.prod(shape):
        return array
    axis, inputs = {"fc1/kernel": (0, True), "fc2/kernel": (1, False), "fc2/bias": (0, False)}[
        match[1]
    ]
    # Another width is for the caller to report, not to be multiplied by the grid.
    if array.ndim <= axis or array.size * shape[axis] != math.prod(shape) * array.shape[axis]:
        return array
    return resample_tokens(array, axis, grid, inputs)
