"""Initial weights: zeros if a checkpoint fills them, else drawn by NumPy on all cores."""

import contextlib
import contextvars
import math
from concurrent import futures
from typing import Any

import keras
import numpy as np
from keras import ops

_ZERO_START = contextvars.ContextVar("zero_start", default=False)


@contextlib.contextmanager
def zero_start():
    """Inside, weights are created as zeros, because a checkpoint is about to fill all of them.

    To draw random numbers takes longer than to read the file, and several times the memory.
    """
    token = _ZERO_START.set(True)
    try:
        yield
    finally:
        _ZERO_START.reset(token)


class DrawnWeights(keras.layers.Layer):
    """Mixin for a Keras layer with a kernel and a bias: creates both through `initial`.

    The configuration keeps the layer's own initializers.
    """

    kernel_initializer: Any
    bias_initializer: Any

    def build(self, input_shape):
        own = self.kernel_initializer, self.bias_initializer
        self.kernel_initializer, self.bias_initializer = map(initial, own)
        super().build(input_shape)
        self.kernel_initializer, self.bias_initializer = own


def initializers(kernel_initializer, fan_in: int) -> dict:
    """The arguments `kernel_initializer` and `bias_initializer` of a dense or convolutional layer.

    `None` draws both uniformly within `1 / sqrt(fan_in)`, PyTorch's default. Otherwise the bias
    starts at zero.
    """
    if kernel_initializer is not None:
        return {"kernel_initializer": kernel_initializer, "bias_initializer": "zeros"}
    limit = fan_in**-0.5
    return {
        f"{weight}_initializer": keras.initializers.RandomUniform(-limit, limit)
        for weight in ("kernel", "bias")
    }


def initial(initializer):
    """The initializer to create a weight with: zeros inside `zero_start`, else a fresh copy.

    A copy, because an instance draws the same numbers at each call. NumPy draws the usual
    distributions: JAX would compile a program for each shape, and Keras's truncated normal on
    PyTorch draws four numbers for each one that it keeps.
    """
    if _ZERO_START.get():
        return keras.initializers.Zeros()
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    copy = initializer.clone()
    is_usual = type(copy) in _USUAL and isinstance(copy.seed, int)
    return _drawn_by_numpy(copy) if is_usual else copy


_USUAL = (
    keras.initializers.GlorotUniform,
    keras.initializers.LecunNormal,
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
)
_CHUNK = 2**18  # numbers per seed, so that the result does not depend on the number of cores


def _drawn_by_numpy(initializer):
    def draw(shape, dtype=None):
        distribution, mean, scale = _distribution(initializer, shape)
        size = math.prod(shape)
        # JAX would compile the concatenation; other backends cannot create tensors in threads.
        xp = ops if keras.backend.backend() in ("tensorflow", "torch") else np
        sizes = [min(_CHUNK, size - done) for done in range(0, size, _CHUNK)]
        seeds = np.random.SeedSequence(initializer.seed).spawn(len(sizes))

        def draw_chunk(size, seed):
            rng = np.random.default_rng(seed)
            if distribution == "uniform":  # in [-1, 1)
                chunk = 2 * rng.random(size, "float32") - 1
            else:
                chunk = rng.standard_normal(size, "float32")
            if distribution == "truncated_normal":
                while (outside := np.flatnonzero(np.abs(chunk) > 2)).size:
                    chunk[outside] = rng.standard_normal(outside.size, "float32")
            chunk *= scale
            chunk += mean
            # The allocator reuses small buffers; one large allocation would page-fault.
            return xp.array(chunk)

        with futures.ThreadPoolExecutor() as pool:
            draw_all = pool.map if len(sizes) > 1 else map  # no thread for a small weight
            chunks = list(draw_all(draw_chunk, sizes, seeds))
        return ops.convert_to_tensor(xp.reshape(xp.concatenate(chunks), shape), dtype)

    return draw


def _distribution(initializer, shape):
    """The standard distribution that Keras's initializer scales, its mean and the scale."""
    config = initializer.get_config()
    if isinstance(initializer, keras.initializers.RandomUniform):
        low, high = config["minval"], config["maxval"]
        return "uniform", (low + high) / 2, (high - low) / 2
    if isinstance(initializer, keras.initializers.RandomNormal):
        return "normal", config["mean"], config["stddev"]
    fan_in = math.prod(shape[:-1])
    if isinstance(initializer, keras.initializers.LecunNormal):
        # 0.8796 is the standard deviation of a normal distribution truncated at two deviations.
        return "truncated_normal", 0, fan_in**-0.5 / 0.87962566
    fan_out = math.prod(shape[:-2]) * shape[-1]
    return "uniform", 0, (6 / (fan_in + fan_out)) ** 0.5
