"""The layouts of published checkpoints, one file per publisher; any file here is found."""

import functools
import importlib
import pkgutil

import numpy as np

from keras_shiftmlp.checkpoints.port import Row, Source, as_is, dense


@functools.cache
def sources() -> tuple[Source, ...]:
    """The `SOURCES` of every module in this folder."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    return tuple(source for module in modules for source in module.SOURCES)


def recognise(keys, received: str) -> Source:
    """The source whose marker is among `keys`.

    Raises:
        ValueError: If no source has it.
    """
    for source in sources():
        if source.marker in keys:
            return source
    raise ValueError(
        f"`weights` must be a file of one of these layouts: "
        f"{', '.join(source.name for source in sources())}. "
        f"Received: `weights={received!r}` with the keys {sorted(keys)[:5]}..."
    )


def batch_norm(theirs: str, ours: str) -> list[Row]:
    """The rows of a PyTorch BatchNorm; Keras does not count the batches."""
    return [
        (rf"{theirs}\.weight", f"{ours}/gamma", as_is),
        (rf"{theirs}\.bias", f"{ours}/beta", as_is),
        (rf"{theirs}\.running_mean", f"{ours}/moving_mean", as_is),
        (rf"{theirs}\.running_var", f"{ours}/moving_variance", as_is),
        (rf"{theirs}\.num_batches_tracked", None, None),
    ]


def split_attention(theirs: str, ours: str, branches: int = 3) -> list[Row]:
    """The rows of the two layers `fc1` and `fc2`, dense or 1 x 1 convolutions, that weigh branches.

    Their logits are indexed `c * K + k`, those of `layers.SplitAttention` `k * C + c`.
    """

    def logits(array):
        return dense(group_major(array, branches))

    return [
        (rf"{theirs}\.fc1\.weight", f"{ours}/fc1/kernel", dense),
        (rf"{theirs}\.fc1\.bias", f"{ours}/fc1/bias", as_is),
        (rf"{theirs}\.fc2\.weight", f"{ours}/fc2/kernel", logits),
        (rf"{theirs}\.fc2\.bias", f"{ours}/fc2/bias", lambda array: group_major(array, branches)),
    ]


def group_major(array: np.ndarray, groups: int) -> np.ndarray:
    """Reorders the first axis from index `c * groups + k` to `k * C + c`."""
    # (C * K, ...) -> (C, K, ...) -> (K, C, ...) -> (K * C, ...)
    split = array.reshape(-1, groups, *array.shape[1:])
    return split.swapaxes(0, 1).reshape(array.shape)
