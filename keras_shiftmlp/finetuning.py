"""LoRA fine-tuning and activation recomputation for built models."""

import re
import tempfile
from pathlib import Path

import keras

from keras_shiftmlp.layers import names


def enable_lora(model: keras.Model, rank: int, layers: str = names.BLOCK) -> list[str]:
    """Freezes all weights except the head and a low-rank update of the dense layers.

    Each kernel `W` of a chosen layer becomes `W + A B`, where `A` has `rank` columns. Then `A`,
    `B`, the biases of these layers and the classifier are trainable. Compile the model afterwards.
    `merge_lora` adds the updates to the kernels.

    Args:
        model: A built model.
        rank: Rank of the updates, at least 1.
        layers: Regular expression that a layer's name must contain.

    Returns:
        The names of the layers that were changed.

    Raises:
        ValueError: If no layer matches, for a rank below 1, or if the model has updates already.

    Reference: [LoRA](https://arxiv.org/abs/2106.09685).

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> enable_lora(model, 2)
    ['block_0_token_fc1', 'block_0_token_fc2', 'block_0_channel_fc1', 'block_0_channel_fc2']
    """
    dense = [x for x in model.layers if hasattr(x, "enable_lora") and x.name != names.HEAD]
    chosen = [layer for layer in dense if re.search(layers, layer.name)]
    if rank < 1:
        raise ValueError(f"`rank` must be at least 1. Received: `rank={rank}`")
    if not chosen:
        raise ValueError(
            "`layers` must match the name of a dense layer, such as "
            f"{[layer.name for layer in dense[:1]]}. Received: `layers={layers!r}`"
        )
    if any(layer.lora_rank for layer in dense):
        raise ValueError(
            f"The model has low-rank updates already. Received: `rank={rank}`, `{layers=}`"
        )
    for layer in model.layers:
        layer.trainable = layer in chosen or layer.name == names.HEAD
    for layer in chosen:
        layer.enable_lora(rank)
    return [layer.name for layer in chosen]


def merge_lora(model: keras.Model) -> keras.Model:
    """A model without low-rank updates and with the same outputs: its kernels are `W + A B`.

    Args:
        model: A model after `enable_lora`; it does not change.

    Returns:
        A new model of the same class. It is not compiled, all weights are trainable, and its
        `.weights.h5` fits a model that never had low-rank updates.

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> rank_2 = enable_lora(model, 2)
    >>> merge_lora(model).count_params() < model.count_params()
    True
    """
    plain = type(model).from_config(_plain(model.get_config()))
    with tempfile.TemporaryDirectory() as folder:
        # Keras writes merged kernels, those of sublayers too.
        path = Path(folder) / "merged.weights.h5"
        model.save_weights(path)
        plain.load_weights(path)
    return plain


def rematerialize(model: keras.Model) -> keras.Model:
    """A copy of the model that needs less memory and more time to train.

    Its layers store only their inputs for the gradient and recompute the rest, except layers with a
    BatchNormalization. Make the copy before `compile`. A `.keras` file of it loads as a model that
    does not recompute. On JAX and a CPU, XLA undoes most of it unless
    `XLA_FLAGS=--xla_disable_hlo_passes=cse_barrier_expander` is set.

    Args:
        model: A built model; it does not change.

    Returns:
        A new model of the same class with the same weights, not compiled.

    Raises:
        RuntimeError: On TensorFlow, where `keras.RematScope` fails in Keras 3.15: its wrapper of
            `tf.recompute_grad` takes no keyword arguments. On NumPy and OpenVINO, which don't
            train.

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> if keras.backend.backend() in ("jax", "torch"):
    ...     model = rematerialize(model)
    """
    if keras.backend.backend() not in ("jax", "torch"):
        raise RuntimeError(
            "Recomputing activations needs JAX or PyTorch: `keras.RematScope` fails on TensorFlow, "
            "and the other backends don't train. "
            f"Received: `keras.backend.backend()={keras.backend.backend()!r}`"
        )
    # Not the model itself: all activations would be recomputed at once. Not dropout: it would draw
    # another mask. Not a BatchNormalization: it would update its statistics twice.
    layers = [layer.name for layer in model.layers if _may_recompute(layer)]
    with keras.RematScope("list_of_layers", layer_names=layers):
        copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def _may_recompute(layer) -> bool:
    """Whether the layer has something to recompute and gives the same twice."""
    has_statistics = any("moving_" in weight.path for weight in layer.weights)
    return not has_statistics and bool(
        layer.weights or getattr(layer, "has_intermediate_results", False)
    )


def _plain(config):
    """The config of a model or layer without low-rank updates, everything trainable."""
    if isinstance(config, dict):
        plain = {key: _plain(x) for key, x in config.items() if not key.startswith("lora_")}
        return {**plain, "trainable": True} if "trainable" in plain else plain
    if isinstance(config, (list, tuple)):
        return type(config)(map(_plain, config))
    return config
