"""`weights=...`: from what a user writes to weights in a model."""

import os

from keras_shiftmlp.checkpoints.h5 import H5Checkpoint

__all__ = ["H5Checkpoint", "WeightsNotAvailableError", "find"]


class WeightsNotAvailableError(ValueError):
    """Nobody has published the weights that were asked for."""


def find(model: str, weights: str | os.PathLike | None) -> H5Checkpoint | None:
    """Opens what `weights` means for the constructor called `model`, without loading it yet.

    Raises:
        WeightsNotAvailableError: For a tag that the model has no checkpoint for.
        ValueError: For anything that is neither `None`, a tag nor a `.weights.h5` file.
    """
    if weights is None:
        return None
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            "`weights` must be None, a tag or the path of a `.weights.h5` file. "
            f"Received: `weights={weights!r}`"
        )
    path = os.fspath(weights)
    if os.path.isfile(path):
        return H5Checkpoint(path)
    if os.sep in path or path.endswith(".h5"):
        raise ValueError(f"`weights` names a file that does not exist. Received: `{weights=}`")
    raise WeightsNotAvailableError(
        f"There is no checkpoint `weights={path!r}` for {model}. Pass `weights=None` for a random "
        "start, or the path of a `.weights.h5` file saved from this model."
    )
