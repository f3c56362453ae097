"""The layouts of published checkpoints, one file per publisher; every file here is found."""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# (pattern of the source's key, path of our variable, change of the array). A path of `None` stands
# for a tensor that is left out on purpose.
Row = tuple[str, str | None, Callable[["np.ndarray"], "np.ndarray"] | None]


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
    # Looks at the arrays, for layouts that have their keys in common.
    condition: Callable[[Mapping[str, "np.ndarray"]], bool] | None = None


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


def recognise(arrays: Mapping[str, "np.ndarray"], received: str) -> Source:
    """The source whose marker is among the keys of `arrays` and whose condition holds.

    Raises:
        ValueError: If there is no such source.
    """
    for source in sources():
        if source.marker in arrays and (source.condition is None or source.condition(arrays)):
            return source
    raise ValueError(
        f"`weights` must be a file of one of these layouts: "
        f"{', '.join(source.name for source in sources())}. "
        f"Received: `weights={received!r}` with the keys {sorted(arrays)[:5]}..."
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


def group_major(array: "np.ndarray", groups: int) -> "np.ndarray":
    """Reorders the first axis from index `c * groups + k` to `k * C + c`."""
    # (C * K, ...) -> (C, K, ...) -> (K, C, ...) -> (K * C, ...)
    split = array.reshape(-1, groups, *array.shape[1:])
    return split.swapaxes(0, 1).reshape(array.shape)
