"""2-D Fourier transforms of real maps in the form that each backend can compute.

Keras's OpenVINO backend (3.15) has no FFT for an unknown batch size. There, products with the
matrices of the transforms replace it. The matrices are on the left: OpenVINO's CPU plugin (2026.4)
computes wrong products of a map that is transposed after a convolution. ONNX and LiteRT files are
written from products too, because tf2onnx and LiteRT have no complex numbers.
"""

import contextlib
import contextvars

import keras
import numpy as np
from keras import ops

_AS_PRODUCTS = contextvars.ContextVar("as_products", default=False)


@contextlib.contextmanager
def as_products():
    """Inside, transforms are computed as matrix products on every backend."""
    token = _AS_PRODUCTS.set(True)
    try:
        yield
    finally:
        _AS_PRODUCTS.reset(token)


def _is_product():
    return _AS_PRODUCTS.get() or keras.backend.backend() == "openvino"


def rfft2(x):
    """`(B, H, W, C)` to the real and imaginary parts `(B, H, W // 2 + 1, C)` of its spectrum."""
    if _is_product():
        cosine, sine = _waves(x.shape[2])
        half = x.shape[2] // 2 + 1
        return _over_rows(ops.matmul(cosine[:half], x), ops.matmul(-sine[:half], x))
    # (B, H, W, C) -> (B, C, H, W); `ops` transforms the last axis.
    parts = ops.rfft(ops.transpose(x, (0, 3, 1, 2)))
    # 2 x (B, C, H, W // 2 + 1) -> 2 x (B, H, W // 2 + 1, C)
    return _over_rows(*(ops.transpose(part, (0, 2, 3, 1)) for part in parts))


def irfft2(real, imaginary, width: int):
    """The inverse of `rfft2`, with `W = width`.

    A real row has no imaginary part in column 0 and, if `W` is even, in column `W / 2`. If the
    spectrum has some there, it is ignored.
    """
    height, column = real.shape[1], np.arange(width // 2 + 1)
    single = (column == 0) | (2 * column == width)  # the others stand for two frequencies
    # The inverse is the conjugate of the transform of the conjugate, divided by `H`.
    real, imaginary = (part / height for part in _over_rows(real, -imaginary))
    if _is_product():
        cosine, sine = _waves(width)
        scale = (np.where(single, 1, 2) / width).astype("float32")
        a, b = (scale * waves[:, : len(column)] for waves in (cosine, sine))
        return ops.matmul(a, real) + ops.matmul(b, imaginary)
    # 2 x (B, H, W // 2 + 1, C) -> 2 x (B, C, H, W // 2 + 1)
    real, imaginary = (ops.transpose(part, (0, 3, 1, 2)) for part in (real, -imaginary))
    # FFT libraries on CPUs ignore it by themselves, those of GPUs need not.
    imaginary = ops.where(single, ops.zeros_like(imaginary), imaginary)
    # (B, C, H, W) -> (B, H, W, C)
    return ops.transpose(ops.irfft((real, imaginary), width), (0, 2, 3, 1))


def _over_rows(real, imaginary):
    """The complex transform of `(B, H, W', C)` over the rows."""
    _, height, columns, channels = real.shape
    if _is_product():
        cosine, sine = _waves(height)
        # 2 x (B, H, W', C) -> 2 x (B, H, W' * C)
        real, imaginary = (
            ops.reshape(part, (-1, height, columns * channels)) for part in (real, imaginary)
        )
        parts = (
            ops.matmul(cosine, real) + ops.matmul(sine, imaginary),
            ops.matmul(cosine, imaginary) - ops.matmul(sine, real),
        )
        # 2 x (B, H, W' * C) -> 2 x (B, H, W', C)
        return tuple(ops.reshape(part, (-1, height, columns, channels)) for part in parts)
    # 2 x (B, H, W', C) -> 2 x (B, C, W', H) -> 2 x (B, H, W', C)
    parts = ops.fft(tuple(ops.transpose(part, (0, 3, 2, 1)) for part in (real, imaginary)))
    return tuple(ops.transpose(part, (0, 3, 2, 1)) for part in parts)


def _waves(length):
    """Cosines and sines of `2 pi k n / N`, `(N, N)`, the angles reduced for precision."""
    index = np.arange(length)
    angle = 2 * np.pi * (np.outer(index, index) % length) / length
    return np.cos(angle).astype("float32"), np.sin(angle).astype("float32")
