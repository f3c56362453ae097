"""How weights start."""

import contextlib
import contextvars

import keras

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
    """The initializer to make a weight with: the given one, or zeros inside `zero_start`."""
    return keras.initializers.Zeros() if _ZERO_START.get() else initializer


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
