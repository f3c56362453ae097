"""How weights start."""

import keras

# PyTorch code writes `trunc_normal_(std=0.02)`, which cuts at +-2 and so cuts nothing; Keras's
# TruncatedNormal would cut at two standard deviations.
NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.02}}


def fresh_initializer(identifier):
    """An initializer of its own: an instance draws the same numbers every time it is called."""
    initializer = keras.initializers.get(identifier)
    is_instance = isinstance(initializer, keras.initializers.Initializer)
    return initializer.clone() if is_instance else initializer
