"""The layers in plain numpy, written literally from the papers' formulas."""

import math

import numpy as np

STEPS = {
    "down": (1, 0),
    "up": (-1, 0),
    "right": (0, 1),
    "left": (0, -1),
    "down_right": (1, 1),
    "down_left": (1, -1),
    "up_right": (-1, 1),
    "up_left": (-1, -1),
}


def spatial_shift(x, directions, order, border):
    """Every output pixel reads the pixel one step back, clamped to the image."""
    _, height, width, channels = x.shape
    y = np.empty_like(x)
    for k, direction in enumerate(directions):
        dy, dx = STEPS[direction] if order == "hw" else STEPS[direction][::-1]
        first = math.floor(k * channels / len(directions))
        last = math.floor((k + 1) * channels / len(directions))
        for i in range(height):
            for j in range(width):
                outside = not (0 <= i - dy < height and 0 <= j - dx < width)
                if outside and border == "assign":
                    source = (i, j)
                else:
                    source = (min(max(i - dy, 0), height - 1), min(max(j - dx, 0), width - 1))
                y[:, i, j, first:last] = x[:, source[0], source[1], first:last]
    return y


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def split_attention(branches, w1, w2, pooling):
    pooled = sum(x.sum((1, 2)) if pooling == "sum" else x.mean((1, 2)) for x in branches)
    logits = (gelu(pooled @ w1) @ w2).reshape(len(pooled), len(branches), -1)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    return sum(weights[:, k, None, None] * x for k, x in enumerate(branches))


def mix_shift(x, kernel_sizes, shifts, horizontal, vertical):
    """`horizontal` and `vertical`: a (kernel (k, k, c, 1), bias) for each group."""
    size = math.ceil(x.shape[-1] / len(kernel_sizes))
    y = np.zeros_like(x)
    for g, (k, shift) in enumerate(zip(kernel_sizes, shifts)):
        group = slice(g * size, (g + 1) * size)
        for axis, weights in ((2, horizontal), (1, vertical)):
            kernel, bias = weights[g]
            moved = np.roll(x[..., group], shift, axis)
            padded = np.pad(moved, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
            for i in range(x.shape[1]):
                for j in range(x.shape[2]):
                    window = padded[:, i : i + k, j : j + k]
                    y[:, i, j, group] += (window * kernel[..., 0]).sum((1, 2)) + bias
    return y
