"""The layouts of published checkpoints, one file per publisher; every file here is found."""

import dataclasses
import functools
import importlib
import itertools
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

# (pattern of the file's key, path of our variable, change of the array). The path `None` means that
# the tensor is left out on purpose.
Row = tuple[str, str | None, Callable[["np.ndarray"], "np.ndarray"]]


@dataclasses.dataclass(frozen=True)
class Source:
    """A layout of tensors: who writes it, which family it fills and how to recognise it."""

    name: str
    family: str  # name of the general constructor
    marker: str  # a key that every file of this layout has
    table: Sequence[Row]
    # Hyper-parameters that the constructor needs for files of this layout.
    hyperparameters: dict[str, Any] = dataclasses.field(default_factory=dict)
    # A further test of the arrays, for layouts that share the marker.
    condition: Callable[[Mapping[str, "np.ndarray"]], bool] = lambda arrays: True


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
        if source.marker in arrays and source.condition(arrays):
            return source
    raise ValueError(
        f"`weights` must be a file of one of these layouts: "
        f"{', '.join(source.name for source in sources())}. "
        f"Received: `weights={received!r}` with the keys {sorted(arrays)[:5]}..."
    )


def as_is(array):
    return array


def dense(array):
    """PyTorch's `(out, in)` or `(out, in, 1, 1)` to Keras's `(in, out)`."""
    return array.reshape(array.shape[:2]).T


def conv(array):
    """PyTorch's `(out, in, kh, kw)` to Keras's `(kh, kw, in, out)`."""
    return array.transpose(2, 3, 1, 0)


def depthwise(array):
    """PyTorch's `(C, 1, kh, kw)` to Keras's `(kh, kw, C, 1)`."""
    return array.transpose(2, 3, 0, 1)


def group_major(array: "np.ndarray", groups: int) -> "np.ndarray":
    """Reorders the first axis from index `c * groups + k` to `k * C + c`."""
    # (C * K, ...) -> (C, K, ...) -> (K, C, ...) -> (K * C, ...)
    split = array.reshape(-1, groups, *array.shape[1:])
    return split.swapaxes(0, 1).reshape(array.shape)


def row(theirs: str, ours: str | None, change=as_is) -> Row:
    """The row of one tensor.

    In `theirs`, `#` stands for a number. The numbers go into `ours`, in the same order.
    """
    number = itertools.count(1)
    target = ours and re.sub("#", lambda _: rf"\{next(number)}", ours)
    return re.escape(theirs).replace(r"\#", r"(\d+)"), target, change


def linear(theirs: str, ours: str, change=dense) -> list[Row]:
    """The rows of a PyTorch Linear, or of a 1 x 1 Conv2d that is a dense layer here."""
    return [
        row(f"{theirs}.weight", f"{ours}/kernel", change),
        row(f"{theirs}.bias", f"{ours}/bias"),
    ]


def conv2d(theirs: str, ours: str) -> list[Row]:
    """The rows of a PyTorch Conv2d."""
    return linear(theirs, ours, conv)


def norm(theirs: str, ours: str) -> list[Row]:
    """The rows of a PyTorch LayerNorm, GroupNorm or BatchNorm."""
    return [
        row(f"{theirs}.weight", f"{ours}/gamma"),
        row(f"{theirs}.bias", f"{ours}/beta"),
        row(f"{theirs}.running_mean", f"{ours}/moving_mean"),
        row(f"{theirs}.running_var", f"{ours}/moving_variance"),
        row(f"{theirs}.num_batches_tracked", None),
    ]


def of_block(theirs: str, ours: str) -> list[Row]:
    """The rows of a block's norms and of its channel MLP."""
    return [
        *norm(f"{theirs}.norm1", f"{ours}_spatial_norm"),
        *norm(f"{theirs}.norm2", f"{ours}_channel_norm"),
        *linear(f"{theirs}.mlp.fc#", f"{ours}_channel_fc#"),
    ]


def of_stage(stage: int) -> list[Row]:
    """The same of a whole stage and the layer before it; both count as modules of `network`."""
    stem = "patch_embed" if stage == 0 else f"network.{2 * stage - 1}"
    return [
        *conv2d(f"{stem}.proj", f"stage_{stage}_stem"),
        *norm(f"{stem}.norm", f"stage_{stage}_stem_norm"),
        *of_block(f"network.{2 * stage}.#", f"stage_{stage}_block_#"),
    ]


def affine(theirs: str, ours: str) -> list[Row]:
    """The rows of ResMLP's affine layer, whose tensors may have the shape `(1, 1, C)`."""
    return [row(f"{theirs}.{name}", f"{ours}/{name}") for name in ("alpha", "beta")]


def reweight(theirs: str, ours: str) -> list[Row]:
    """The rows of the layers `fc1` and `fc2` that weigh three branches.

    The files order the logits `c * 3 + k` for channel `c` and branch `k`; `SplitAttention` orders
    them `k * C + c`.
    """
    return [
        *linear(f"{theirs}.fc1", f"{ours}/fc1"),
        row(f"{theirs}.fc2.weight", f"{ours}/fc2/kernel", lambda x: dense(group_major(x, 3))),
        row(f"{theirs}.fc2.bias", f"{ours}/fc2/bias", lambda x: group_major(x, 3)),
    ]


# The last norm and the classifier.
END = [*norm("norm", "norm"), *linear("head", "predictions")]
