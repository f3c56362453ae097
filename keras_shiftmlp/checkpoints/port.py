"""One engine for every foreign checkpoint: a key table, and no tensor left over on either side."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from keras_shiftmlp.checkpoints.resample import fit_token_weight, token_grid

# Layers that a model without the top, or with another number of classes, does not share.
HEAD = {"pooled_norm", "predictions"}

# (pattern of the source's key, our variable's path, what to do with the array); a path of `None`
# names what is knowingly left out.
Row = tuple[str, str | None, Callable[[np.ndarray], np.ndarray] | None]


@dataclasses.dataclass(frozen=True)
class Source:
    """One layout of tensors: who writes it, which family it fills and how to recognise it."""

    name: str
    family: str  # name of the general constructor
    marker: str  # a key that no other layout has
    head: str  # the classifier's bias: its length is the number of classes
    table: Sequence[Row]
    # What the files of this layout need of the constructor.
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


def port(arrays: dict[str, np.ndarray], table: Iterable[Row], layers: Iterable) -> None:
    """Fills every weight of `layers` once, from `arrays`, by the rows of `table`.

    Layers of the head may be absent from `layers`. Token-mixing weights of another image size are
    resampled. `arrays` is emptied: each is let go once it is in the model, so that file and model
    don't lie in memory twice at the end.

    Raises:
        ValueError: Where an array matches no row, a weight stays empty or would be filled twice,
            or a shape differs; names them all and changes nothing.
    """
    variables = {weight.path: weight for layer in layers for weight in layer.weights}
    grid = token_grid(layers)
    rows = [(re.compile(pattern), target, change) for pattern, target, change in table]
    filled, problems = {}, []
    for key, array in arrays.items():
        match, target, change = _find_row(rows, key)
        if match is None:
            problems.append(f"no use for {key!r}")
            continue
        if target is None:
            continue
        path = match.expand(target)
        if path in filled:
            problems.append(f"{path!r} would be filled twice")
        elif path not in variables and path.split("/")[0] in HEAD:
            continue
        elif path not in variables:
            problems.append(f"{key!r} has no place, the model lacks {path!r}")
        else:
            if array.dtype.kind in "iub":
                problems.append(f"{key!r} holds numbers of the type {array.dtype}")
            shape = tuple(variables[path].shape)
            filled[path] = fit_token_weight(change(array), path, shape, grid)
            # Axes of size one carry nothing: EinsumDense keeps the bias of S tokens as (S, 1).
            if _without_units(filled[path].shape) != _without_units(shape):
                problems.append(f"{key!r} gives {filled[path].shape}, {path!r} is {shape}")
    problems += [f"nothing for {path!r}" for path in variables if path not in filled]
    if problems:
        raise ValueError(f"The checkpoint does not fit this model: {'; '.join(problems)}")
    arrays.clear()
    for path, variable in variables.items():
        variable.assign(filled.pop(path).reshape(variable.shape))


def _without_units(shape):
    return [size for size in shape if size != 1]


def _find_row(rows, key):
    for pattern, target, change in rows:
        match = pattern.fullmatch(key)
        if match:
            return match, target, change
    return None, None, None
