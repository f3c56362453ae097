"""`fold_batch_norm`: puts the scale and offset of batch normalisation into the products beside it."""

from typing import Any

import keras
import numpy as np

from keras_shiftmlp.layers.s2_attention import S2Attention


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy of `model` for inference, without the batch normalisations that a product absorbs.

    At inference, batch normalisation is `y = s x + t` per channel. After a dense layer or a
    convolution without an activation, `s (x W + b) + t = x (W s) + (s b + t)`. Before dense
    layers, `(s x + t) W + b = x (s W) + (t W + b)`, where `s` multiplies the rows of `W`. All
    others stay: before Mixer's token mixing, whose product is over another axis; before a
    depthwise convolution, which pads with zeros; and where another layer reads the same map.

    Args:
        model: A functional model. It does not change.

    Returns:
        A model of the same inputs, outputs and layer names; an `Identity` takes the place of each
        batch normalisation that was folded.

    Example:

    >>> model = keras_shiftmlp.S2MLPNano(weights=None)
    >>> folded = fold_batch_norm(model)
    >>> any(isinstance(x, keras.layers.BatchNormalization) for x in folded.layers)
    False
    """
    before, after = {}, {}
    for norm in model.layers:
        if isinstance(norm, keras.layers.BatchNormalization) and len(norm._inbound_nodes) == 1:
            producer, consumers = _neighbours(model, norm)
            if producer is not None and producer.name not in before:
                before[producer.name] = norm
            elif consumers:
                after |= {layer.name: norm for layer in consumers}
    return _rebuilt(model, before, after)
