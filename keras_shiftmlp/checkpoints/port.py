"""Fills layers from a weight file. Each array must have a variable, each variable an array.

Keras finds the layers in a `.weights.h5` by class and order, so a file can silently load into the
wrong layers. The file also has the name of every layer, and this module goes by the names.
"""

import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

from keras_shiftmlp.checkpoints import containers, sources
from keras_shiftmlp.checkpoints.sources import Row, as_is
from keras_shiftmlp.layers.names import HEAD, POOLED_NORM

# Our own files: the keys are the paths of the variables.
IDENTITY: list[Row] = [(r"(?s).*", r"\g<0>", as_is)]
# The `format` in the metadata of our own `.safetensors`.
FORMAT = "keras_shiftmlp"


class WeightFile:
    """The weights in a file of ours or of a publisher.

    Args:
        path: Path of the file.
        received: What the user wrote, for messages.
        family: Name of the general constructor.

    Attributes:
        classes: Width of the classifier, `None` if the file has none.
        source: Name of the publisher's layout, `None` for our own files.
        hyperparameters: Hyper-parameters of the constructor that the layout needs, such as `gelu`.

    Raises:
        ValueError: If the file is damaged, its layout is unknown or it belongs to another family.
    """

    def __init__(self, path: str | os.PathLike, received: str, family: str):
        contents = containers.load(path)
        self._received, self._arrays = received, contents.arrays
        self._keras_keys = contents.kind == "h5"
        self.source, self.hyperparameters, self._table = None, {}, IDENTITY
        head = f"{HEAD}/0" if self._keras_keys else f"{HEAD}/bias"
        if not self._keras_keys and contents.metadata.get("format") != FORMAT:
            source = sources.recognise(self._arrays, received)
            if source.family != family:
                raise ValueError(
                    f"The file holds a {source.family} ({source.name}), not a {family}. "
                    f"Received: `weights={received!r}`"
                )
            self.source, self._table = source.name, source.table
            self.hyperparameters = dict(source.hyperparameters)
            head = next(key for key, ours, _ in source.table if ours == head)
        found = [array for key, array in self._arrays.items() if re.fullmatch(head, key)]
        self.classes = np.atleast_1d(found[0]).shape[-1] if found else None

    def load(self, layers: Sequence, grid: tuple[int, int] | None = None) -> None:
        """Fills the weights of `layers`, each exactly once; see `port`. To be called once."""
        arrays, self._arrays = self._arrays, {}
        try:
            if self._keras_keys:
                arrays = _by_path(arrays, layers)
            port(arrays, self._table, layers, grid)
        except ValueError as error:
            raise ValueError(f"{error}. Received: `weights={self._received!r}`") from None


def port(
    arrays: dict[str, np.ndarray],
    table: Iterable[Row],
    layers: Sequence,
    grid: tuple[int, int] | None = None,
) -> None:
    """Fills every weight of `layers` once, from `arrays`, by the rows of `table`.

    Layers of the head may be absent from `layers`. If a shape differs, the layer that owns the
    weight may resample the array. `arrays` is emptied, so that it frees memory early.

    Args:
        arrays: The arrays of the file by key.
        table: Patterns of keys, and the paths of the variables that they fill.
        layers: The layers of a functional model, or some of them.
        grid: Rows and columns of the model's final feature map, for layers that resample.

    Raises:
        ValueError: If an array matches no row, a weight stays empty or would be filled twice, or a
            shape differs. The message names all of them, and nothing is changed.
    """
    variables = {weight.path: (layer, weight) for layer in layers for weight in layer.weights}
    rows = [(re.compile(pattern), target, change) for pattern, target, change in table]
    absent = {HEAD, POOLED_NORM} - {layer.name for layer in layers}
    filled, problems = {}, []
    for key, array in arrays.items():
        matches = ((pattern.fullmatch(key), target, change) for pattern, target, change in rows)
        match, target, change = next((x for x in matches if x[0]), (None, None, as_is))
        if match is None:
            problems.append(f"no use for {key!r}")
            continue
        if target is None:
            continue
        path = match.expand(target)
        if path in filled:
            problems.append(f"{path!r} would be filled twice")
        elif path in variables:
            filled[path] = None
            try:
                filled[path] = _fit(change(array), *variables[path], grid)
            except ValueError as error:
                problems.append(f"{key!r}: {error}")
        elif path.split("/")[0] not in absent:
            problems.append(f"{key!r} has no place, the model lacks {path!r}")
    problems += [f"nothing for {path!r}" for path in variables if path not in filled]
    if problems:
        raise ValueError(f"The file does not fit this model: {'; '.join(problems)}")
    arrays.clear()
    for path, (_, variable) in variables.items():
        variable.assign(filled.pop(path))


def _fit(array, layer, variable, grid) -> np.ndarray:
    """`array` in the shape of `variable`, resampled by the layer that owns it if necessary."""
    shape = tuple(variable.shape)
    if array.dtype.kind in "iub":
        raise ValueError(f"its numbers are of the type {array.dtype}")
    if not _same_shape(array, shape):
        *parents, name = variable.path.removeprefix(f"{layer.path}/").split("/")
        owner = _sublayer(layer, parents)
        resample = getattr(owner, "resample", None)
        if resample is not None:
            array = resample(name, array, shape, grid)
        if not _same_shape(array, shape):
            raise ValueError(f"its shape is {array.shape}, that of {variable.path!r} is {shape}")
    return array.reshape(shape)


def _same_shape(array, shape):
    """Whether the shapes agree without axes of size one: EinsumDense has biases of shape (S, 1)."""
    return [size for size in array.shape if size != 1] == [size for size in shape if size != 1]


def _by_path(arrays, layers):
    """Keys `layer/part/.../index` as the paths of the variables, or unchanged if there is none."""
    layers = {layer.name: layer for layer in layers}
    renamed = {}
    for key, array in arrays.items():
        name, *parts, index = key.split("/")
        # A layer's own weights come before those of its parts.
        weights = getattr(_sublayer(layers.get(name), parts), "weights", [])
        path = weights[int(index)].path if int(index) < len(weights) else key
        if path in renamed:
            raise ValueError(f"two arrays of the file are for {path!r}")
        renamed[path] = array
    return renamed


def _sublayer(layer, parts):
    """The part of `layer` that the attributes `parts` lead to, `None` if there is none."""
    for part in parts:
        layer = getattr(layer, part, None)
    return layer
