"""`fold_batch_norm`: batch normalisation becomes part of the products beside it."""

import collections

import keras
import numpy as np

from keras_shiftmlp.layers.s2_attention import S2Attention


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy of `model` for inference, without the batch normalisations that a product absorbs.

    At inference, batch normalisation is `y = s x + t` per channel. After a dense layer or a
    convolution without an activation, `s (x W + b) + t = x (W s) + (s b + t)`. Before dense
    layers, `(s x + t) W + b = x (s W) + (t W + b)`, where `s` multiplies the rows of `W`. All
    others stay: before Mixer's token mixing, whose product is over another axis; before a
    depthwise convolution, which pads with zeros; and where something else reads the same map.

    Args:
        model: A functional model that uses each of its layers once. It does not change.

    Returns:
        A model of the same inputs, outputs and layer names. An `Identity` takes the place of each
        batch normalisation that was folded.

    Example:

    >>> from keras_shiftmlp import S2MLPNano
    >>> folded = fold_batch_norm(S2MLPNano(weights=None))
    >>> any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    False
    """
    producers = {id(layer.output): layer for layer in model.layers}
    readers = collections.defaultdict(list)
    for layer in model.layers:
        for tensor in keras.tree.flatten(layer.input):
            readers[id(tensor)].append(layer)
    for tensor in model.outputs:
        readers[id(tensor)].append(None)

    # For the name of a product: the normalisation after it, or the one before it.
    after, before = {}, {}
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        producer, consumers = producers[id(norm.input)], readers[id(norm.output)]
        if _is_linear(producer) and len(readers[id(norm.input)]) == 1:
            after[producer.name] = norm
        elif all(map(_multiplies_channels, consumers)):
            before |= {layer.name: norm for layer in consumers}
    folded = {norm.name for norm in (*after.values(), *before.values())}

    def clone(layer):
        if layer.name in folded:
            return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy.name)
        config = layer.get_config()
        if "use_bias" in config and (layer.name in after or layer.name in before):
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer, *args, **kwargs):
        if layer.name in folded:
            kwargs.pop("mask", None)  # `Identity` takes none
        return layer(*args, **kwargs)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.name in folded or not layer.weights:
            continue
        target = copy.get_layer(layer.name)
        if layer.name not in after and layer.name not in before:
            target.set_weights(layer.get_weights())
            continue
        product = layer
        if isinstance(layer, S2Attention):
            target.set_weights(layer.get_weights())
            product, target = layer.expand, target.expand
        kernel = keras.ops.convert_to_numpy(product.kernel).astype("float64")  # (..., C_in, C_out)
        bias = np.zeros(kernel.shape[-1])
        if product.use_bias:
            bias += keras.ops.convert_to_numpy(product.bias)
        if layer.name in before:
            scale, offset = _scale_and_offset(before[layer.name])
            bias += offset @ kernel
            kernel *= scale[:, None]
        if layer.name in after:
            scale, offset = _scale_and_offset(after[layer.name])
            kernel *= scale
            bias = scale * bias + offset
        target.set_weights([kernel, bias])
    return copy


def _is_linear(layer) -> bool:
    """Whether the layer is a product with a float kernel and no activation."""
    return (
        isinstance(layer, (keras.layers.Dense, keras.layers.Conv2D))
        and layer.activation is keras.activations.linear
        and _is_plain(layer)
    )


def _multiplies_channels(layer) -> bool:
    """Whether the layer starts with a product of each position's channels."""
    if isinstance(layer, S2Attention):
        return _is_plain(layer.expand)
    return isinstance(layer, keras.layers.Dense) and _is_plain(layer)


def _is_plain(layer) -> bool:
    """Whether the kernel is neither quantised nor the sum of a kernel and a LoRA update."""
    return layer.quantization_mode is None and not layer.lora_enabled


def _scale_and_offset(norm):
    """`s` and `t` of the batch normalisation `y = s x + t`, each `(C,)` in float64."""
    gamma, beta, mean, variance = (
        keras.ops.convert_to_numpy(weight).astype("float64")
        for weight in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale
