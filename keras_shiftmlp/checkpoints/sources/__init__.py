"""The layouts of published checkpoints, one file per publisher; every file here is found."""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

# (pattern of the source's key, path of our variable, change of the array). A path of `None` stands
# for a tensor that is left out on purpose.
Row = tuple[str, str | None, Callable[[np.ndarray], np.ndarray] | None]


@dataclasses.dataclass(frozen=True)
class Source:
    """A layout of tensors: who writes it, which family it fills and how to recognise it."""

    name: str
    family: str  # name of the general constructor
    marker: str  # a key that no other layout has
    head: str  # the classifier's bias: its length is the number of classes
    table: Sequence[Row]
    # Hyper-parameters of the constructor that the files of this layout need.
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)


def as_is(array):
    return array


def dense(array):
    """PyTorch's `(out, in)` to Keras's `(in, out)`."""
    return array.T


def conv(array):
    """PyTorch's `(out, in, kh, kw)` to Keras's `(kh, kw, in, out)`."""
    return array.transpose(2, 3, 1, 0)


def depthwise(array):
    """PyTorch's `(C, 1, kh, kw)` to Keras's `(kh, kw, C, 1)`."""
    return array.transpose(2, 3, 0, 1)


def layer_norm(theirs: str, ours: str) -> list[Row]:
    """The rows of PyTorch's LayerNorm; `theirs` is a pattern, `ours` a layer."""
    return [
        (rf"{theirs}\.weight", rf"{ours}/gamma", as_is),
        (rf"{theirs}\.bias", rf"{ours}/beta", as_is),
    ]


def linear(theirs: str, ours: str) -> list[Row]:
    """The rows of PyTorch's Linear; it may have no bias."""
    return [
        (rf"{theirs}\.weight", rf"{ours}/kernel", dense),
        (rf"{theirs}\.bias", rf"{ours}/bias", as_is),
    ]


def conv2d(theirs: str, ours: str) -> list[Row]:
    """The rows of PyTorch's Conv2d; it may have no bias."""
    return [
        (rf"{theirs}\.weight", rf"{ours}/kernel", conv),
        (rf"{theirs}\.bias", rf"{ours}/bias", as_is),
    ]


@functools.cache
def sources() -> tuple[Source, ...]:
    """The `SOURCES` of every module in this folder."""
    modules = [
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    ]
    return tuple(source for module in modules for source in module.SOURCES)


def recognise(keys: Iterable[str], received: str) -> Source:
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
