"""What a model becomes: a feature extractor, one with low-rank updates, one of less memory."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras


def feature_extractor(model: keras.Model, layers: Sequence[str] | None = None) -> keras.Model:
    """A model that gives several feature maps at once, sharing the weights of `model`.

    Args:
        model: An `ImageModel`, with or without its top.
        layers: Names of layers whose outputs to give. `None` means all pyramid levels, `"P2"`
            of stride 4, `"P3"` of stride 8 and so on.

    Returns:
        A model from the pixels to a dictionary of tensors by layer name, finest first.

    Raises:
        ValueError: For an unknown layer, or no `layers` where no stride is a power of two.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2((4, 2), dims=(16, 24), depths=(1, 1), input_shape=(None, None, 3))
    >>> maps = feature_extractor(model)(keras.ops.zeros((1, 64, 96, 3)))
    >>> {level: tuple(x.shape) for level, x in maps.items()}
    {'P2': (1, 16, 24, 16), 'P3': (1, 8, 12, 24)}
    """
    named = {layer.name: layer for layer in model.layers}
    unknown = [name for name in layers or [] if name not in named]
    chosen = list(getattr(model, "pyramid_level_inputs", {}) if layers is None else layers)
    if unknown or not chosen:
        adds = [name for name in named if name.endswith("_add")]
        raise ValueError(
            "`layers` must name layers of the model, such as its last block, "
            f"{adds[-1] if adds else None!r}; without them the model must have strides that are "
            f"powers of two. Received: `{layers=}` for a model with the levels {chosen} and the "
            f"strides {getattr(model, 'strides', None)}, not found: {unknown}"
        )
    return keras.Model(model.input, {name: named[name].output for name in chosen})


def enable_lora(model: keras.Model, rank: int, layers: str = "block") -> list[str]:
    """Freezes the model but for its head and a low-rank update of its dense layers.

    Each kernel `W` of a chosen layer becomes `W + A B` with `A` of `rank` columns. Only `A`, `B`,
    the biases of these layers and the classifier are trained from then on. Compile the model
    afterwards. `merge_lora` makes a plain model of it again.

    Args:
        model: A built model.
        rank: Rank of the updates, at least 1.
        layers: Regular expression that a layer's name must contain.

    Returns:
        The names of the layers that were changed.

    Raises:
        ValueError: Where no layer matches, for a rank below 1, or a model that has updates.

    Reference: [LoRA](https://arxiv.org/abs/2106.09685).

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> enable_lora(model, 2)
    ['block_0_token_fc1', 'block_0_token_fc2', 'block_0_channel_fc1', 'block_0_channel_fc2']
    """
    dense = [x for x in model.layers if hasattr(x, "enable_lora") and x.name != "predictions"]
    chosen = [layer for layer in dense if re.search(layers, layer.name)]
    if rank < 1 or not chosen or any(layer.lora_rank for layer in dense):
        raise ValueError(
            "`rank` must be at least 1, `layers` must match the name of a dense layer, such as "
            f"{dense[0].name if dense else None!r}, and the model must not have low-rank updates "
            f"yet. Received: `{rank=}`, `{layers=}`"
        )
    for layer in model.layers:
        layer.trainable = layer in chosen or layer.name == "predictions"
    for layer in chosen:
        layer.enable_lora(rank)
    return [layer.name for layer in chosen]


def merge_lora(model: keras.Model) -> keras.Model:
    """A plain model with the same outputs, each kernel `W + A B` written out.

    Args:
        model: A model after `enable_lora`; it is left as it is.

    Returns:
        A new model of the same class, not compiled, all of it trainable, whose `.weights.h5` fits
        one that never had low-rank updates.

    Example:

    >>> from keras_shiftmlp import Mixer
    >>> model = Mixer(patch_size=4, dim=16, depth=1, input_shape=(8, 8, 3), classes=2)
    >>> rank_2 = enable_lora(model, 2)
    >>> merge_lora(model).count_params() < model.count_params()
    True
    """
    plain = type(model).from_config(_plain(model.get_config()))
    with tempfile.TemporaryDirectory() as folder:
        # Keras writes merged kernels, also those of the parts of a layer.
        path = Path(folder) / "merged.weights.h5"
        model.save_weights(path)
        plain.load_weights(path)
    return plain


def rematerialize(model: keras.Model) -> keras.Model:
    """A copy of the model that trains in less memory and more time.

    Its layers keep their inputs alone for the gradient and compute again what lies between. Ask
    for the copy before `compile`. A `.keras` file of it comes back as a plain model. On JAX and a
    CPU, XLA undoes most of it without `XLA_FLAGS=--xla_disable_hlo_passes=cse_barrier_expander`.

    Args:
        model: A built model; it is left as it is.

    Returns:
        A new model of the same class with the same weights, not compiled.

    Raises:
        RuntimeError: On TensorFlow, where `keras.RematScope` fails in Keras 3.15: its wrapper of
            `tf.recompute_grad` takes no keyword arguments. Also on NumPy and OpenVINO, which
            don't train.

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
    # Not the model itself, all of whose activations would come back at once; and no dropout, which
    # would draw anew.
    names = [layer.name for layer in model.layers if layer.weights]
    with keras.RematScope("list_of_layers", layer_names=names):
        copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def _plain(config):
    """The config of a model or layer without low-rank updates, everything trainable."""
    if isinstance(config, dict):
        plain = {key: _plain(x) for key, x in config.items() if not key.startswith("lora_")}
        return {**plain, "trainable": True} if "trainable" in plain else plain
    if isinstance(config, (list, tuple)):
        return type(config)(map(_plain, config))
    return config
