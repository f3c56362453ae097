"""Whether a constructor builds a given model."""

import json
from collections.abc import Mapping
from typing import Any

import keras

from keras_shiftmlp.kernels.gelu import GELU
from keras_shiftmlp.kernels.initializers import zero_start
from keras_shiftmlp.layers import names
from keras_shiftmlp.models import ImageModel
from keras_shiftmlp.models._constructor import Constructor

# Settings of layers that only affect training or precision.
_OF_TRAINING = ("dtype", "trainable", "rate", "seed")
_OF_TRAINING_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def form_of_gelu(model: ImageModel, network: Constructor) -> dict[str, str]:
    """`{"gelu": ...}` as the layers compute it, for a family that has both forms.

    Files of weights do not tell the two forms apart.
    """
    used = [getattr(layer, "activation", None) for layer in model.layers]
    forms = [form for form, function in GELU.items() if function in used]
    return {"gelu": forms[0]} if "gelu" in network.config and forms else {}


def check_constructor(
    model: ImageModel, network: Constructor, hyperparameters: Mapping[str, Any]
) -> None:
    """Raises unless the constructor builds this model.

    Settings that only affect training or precision, such as initializers and dtypes, may differ.

    Args:
        model: A model with a classifier.
        network: The constructor.
        hyperparameters: Those that differ from the constructor's own.

    Raises:
        ValueError: Otherwise. The message names the layers that differ.
    """
    received = f"Received: `constructor={network.name!r}`, `{hyperparameters=}`"
    unknown = set(hyperparameters) - set(network.config)
    if unknown:
        raise ValueError(f"`hyperparameters` must be among {', '.join(network.config)}. {received}")
    activation = keras.activations.serialize(model.layers[-1].activation)
    if activation not in ("softmax", "linear"):
        raise ValueError(
            "A published classifier must end in a softmax or give logits. "
            f"Received: `model` with the activation {activation!r}"
        )
    rates = {x.name: x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)}
    with zero_start():  # the weights are not needed
        rebuilt = network(
            weights=None,
            input_shape=model.input_shape[1:],
            classes=model.output_shape[-1],
            classifier_activation=None if activation == "linear" else activation,
            include_preprocessing=model.preprocessing.normalize,
            dropout_rate=rates.pop("dropout", 0.0),
            drop_path_rate=max(rates.values(), default=0.0),
            **hyperparameters,
        )
    ours, theirs = _architecture(model), _architecture(rebuilt)
    differ = [layer for layer in {**ours, **theirs} if ours.get(layer) != theirs.get(layer)]
    if differ:
        raise ValueError(
            f"{network.name} must build the published model, but {len(differ)} layers differ, "
            f"such as {', '.join(differ[:5])}. `hyperparameters` must have all that are not the "
            f"constructor's own. {received}"
        )


def _architecture(model):
    """The settings of each layer that affect the outputs, without those of the preprocessing."""
    layers = json.loads(json.dumps(model.get_config()["layers"]))  # lists instead of tuples
    return {
        layer["name"]: _without_training(layer)
        for layer in layers
        if layer["name"] != names.PREPROCESSING
    }


def _without_training(config):
    if isinstance(config, list):
        return [_without_training(x) for x in config]
    if isinstance(config, dict):
        return {
            key: _without_training(x)
            for key, x in config.items()
            if key not in _OF_TRAINING and not key.endswith(_OF_TRAINING_ENDINGS)
        }
    return config
