"""Token-mixing weights for another image size."""

import math

import numpy as np


def resample_tokens(
    array: np.ndarray, axis: int, grid: tuple[int, int], inputs: bool
) -> np.ndarray:
    """Interpolates weights over a square grid of tokens to another grid, linearly.

    Tokens are numbered row by row. The axis is unfolded into rows and columns, both are
    interpolated with antialiasing, and it is folded again. An equal grid gives equal weights.

    Args:
        array: Floating-point weights with one axis of `S = side * side` tokens.
        axis: The axis of the tokens.
        grid: Rows and columns of the new grid.
        inputs: Whether the layer sums over this axis. If so, the weights are scaled by
            `S / (grid[0] * grid[1])`, so that more tokens of equal content give the same sum.

    Returns:
        The array with `grid[0] * grid[1]` tokens along `axis`.

    Raises:
        ValueError: If the tokens do not form a square.

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
    # (..., S, ...) -> (S, rest) -> (side, side, rest)
    x = np.moveaxis(array, axis, 0).reshape(side, side, -1)
    rows, columns = (interpolation_matrix(side, new) for new in grid)
    x = np.einsum("ai,bj,ijc->abc", rows, columns, x.astype("float64"), optimize=True)
    if inputs:
        x *= tokens / (grid[0] * grid[1])
    rest = [size for i, size in enumerate(array.shape) if i != axis % array.ndim]
    # (rows, columns, rest) -> (S, rest) -> (..., S, ...)
    x = np.moveaxis(x.reshape(grid[0] * grid[1], *rest), 0, axis)
    return np.ascontiguousarray(x, dtype=array.dtype)


def interpolation_matrix(old: int, new: int) -> np.ndarray:
    """The matrix `(new, old)` of linear interpolation between pixel centres; rows sum to one.

    If there are fewer new positions, the triangle is as wide as a new pixel. This is antialiasing.
    """
    scale = max(old / new, 1.0)
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(old) - centres[:, None]) / scale)
    return weights / weights.sum(1, keepdims=True)


def bicubic_matrix(old: int, new: int, align_corners: bool) -> np.ndarray:
    """The matrix `(new, old)` of bicubic interpolation as PyTorch computes it; rows sum to one.

    The cubic has the parameter -0.75, and there is no antialiasing. A position outside the grid has
    the value of the nearest end. With `align_corners`, the first and the last positions of both
    grids coincide; otherwise the outer edges do.
    """
    if align_corners:
        centres = np.arange(new) * (old - 1) / max(1, new - 1)
    else:
        centres = (np.arange(new) + 0.5) * old / new - 0.5
    matrix = np.zeros((new, old))
    for tap in range(-1, 3):
        source = np.floor(centres).astype(int) + tap
        t = np.abs(centres - source)
        near = 1.25 * t**3 - 2.25 * t**2 + 1
        far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
        weights = np.where(t <= 1, near, far)
        np.add.at(matrix, (np.arange(new), np.clip(source, 0, old - 1)), weights)
    return matrix


def resample_bicubic(
    array: np.ndarray, grid: tuple[int, int], align_corners: bool = False
) -> np.ndarray:
    """Interpolates `(H, W, ...)` to `grid` rows and columns; see `bicubic_matrix`.

    Example:

    >>> resample_bicubic(np.ones((2, 2)), (1, 3))
    array([[1., 1., 1.]])
    """
    rows, columns = (bicubic_matrix(old, new, align_corners) for old, new in zip(array.shape, grid))
    x = np.einsum("ai,bj,ij...->ab...", rows, columns, array.astype("float64"), optimize=True)
    return np.ascontiguousarray(x, dtype=array.dtype)
