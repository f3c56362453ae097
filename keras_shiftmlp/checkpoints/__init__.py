"""`weights=...`: from what a user writes to weights in a model."""

from keras_shiftmlp.checkpoints.find import Checkpoint, WeightsNotAvailableError, find
from keras_shiftmlp.checkpoints.manifest import class_names, list_weights, weights_info

__all__ = [
    "Checkpoint",
    "WeightsNotAvailableError",
    "class_names",
    "find",
    "list_weights",
    "weights_info",
]
