"""How weights start."""

import contextlib
import contextvars
import math
from concurrent import futures

import keras
import numpy as np
from keras import ops

# PyTorch code writes `trunc_normal_(std=0.02)`, which cuts at +-2 and so cuts nothing; Keras's
# TruncatedNormal would cut at two standard deviations.
NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}

_ZERO_START = contextvars.ContextVar("zero_start", default=False)


@contextlib.contextmanager
def zero_start():
    """Weights made inside start at zero, since a file is about to fill every one of them.

    Random numbers would take longer to draw than the file to read, and several times the memory.
    """
    token = _ZERO_START.set(True)
    try:
        yield
    finally:
        _ZERO_START.reset(token)


def start(initializer):
    """The initializer to make a weight with: zeros inside `zero_start`, else the given one.

    The usual distributions are drawn by numpy on all cores: JAX would compile programs for each of
    the many shapes, and on PyTorch Keras draws four numbers for each that it keeps of a truncated
    normal.
    """
    if _ZERO_START.get():
        return keras.initializers.Zeros()
    is_usual = type(initializer) in _USUAL and isinstance(initializer.seed, int)
    return _drawn_by_numpy(initializer) if is_usual else initializer


_USUAL = (
    keras.initializers.GlorotUniform,
    keras.initializers.LecunNormal,
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
)
_CHUNK = 2**18  # numbers drawn from one seed: what is drawn does not depend on the cores


def _drawn_by_numpy(initializer):
    def draw(shape, dtype=None):
        distribution, mean, scale = _distribution(initializer, shape)
        size = math.prod(shape)
        # Others would compile the joining of tensors, or make no tensors in threads.
        xp = ops if keras.backend.backend() in ("tensorflow", "torch") else np
        sizes = [min(_CHUNK, size - done) for done in range(0, size, _CHUNK)]
        seeds = np.random.SeedSequence(initializer.seed).spawn(len(sizes))

        def draw_part(size, seed):
            rng = np.random.default_rng(seed)
            if distribution == "uniform":  # within 1
                part = 2 * rng.random(size, "float32") - 1
            else:
                part = rng.standard_normal(size, "float32")
            if distribution == "truncated_normal":
                while (outside := np.flatnonzero(np.abs(part) > 2)).size:
                    part[outside] = rng.standard_normal(outside.size, "float32")
            part *= scale
            part += mean
            return xp.array(part)  # in memory at hand, while that of the whole is slow to come by

        with futures.ThreadPoolExecutor() as pool:
            draw_all = pool.map if len(sizes) > 1 else map  # no thread for a small weight
            parts = list(draw_all(draw_part, sizes, seeds))
        return ops.convert_to_tensor(xp.reshape(xp.concatenate(parts), shape), dtype)

    return draw


def _distribution(initializer, shape):
    """What Keras's initializer draws from, its mean, and the factor of the standard one."""
    config = initializer.get_config()
    if isinstance(initializer, keras.initializers.RandomUniform):
        low, high = config["minval"], config["maxval"]
        return "uniform", (low + high) / 2, (high - low) / 2
    if isinstance(initializer, keras.initializers.RandomNormal):
        return "normal", config["mean"], config["stddev"]
    fan_in = math.prod(shape[:-1])
    if isinstance(initializer, keras.initializers.LecunNormal):
        # 0.8796 is the deviation of a normal that was cut at two deviations.
        return "truncated_normal", 0, fan_in**-0.5 / 0.87962566
    fan_out = math.prod(shape[:-2]) * shape[-1]
    return "uniform", 0, (6 / (fan_in + fan_out)) ** 0.5


def built(layer, input_shape):
    """Builds a dense or convolutional layer and returns it.

    Inside `zero_start` its weights are zeros; its configuration has its own initializers always.
    """
    own = layer.kernel_initializer, layer.bias_initializer
    layer.kernel_initializer, layer.bias_initializer = map(start, own)
    layer.build(input_shape)
    layer.kernel_initializer, layer.bias_initializer = own
    return layer


def fresh_initializer(identifier):
    """An initializer of its own: an instance draws the same numbers every time it is called."""
    initializer = keras.initializers.get(identifier)
    is_instance = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_instance else initializer
