"""Checkpoints: from the argument `weights=...` to the weights of a model."""

from keras_shiftmlp.checkpoints.find import Checkpoint, WeightsNotAvailableError, find

__all__ = ["Checkpoint", "WeightsNotAvailableError", "find"]
