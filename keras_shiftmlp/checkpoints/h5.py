"""Reads Keras's own `.weights.h5`, by layer name and without guessing.

Keras addresses the layers in such a file by class and order, so a file can load into the wrong
layers without a word. The file also holds every layer's name; this reader goes by that, demands
that both sides have the same layers, and leaves only the head to choice.
"""

import logging
import os

import h5py
import numpy as np

logger = logging.getLogger("keras_shiftmlp")

# Layers that a model without the top, or with another number of classes, does not share.
HEAD = {"pooled_norm", "predictions"}


class H5Checkpoint:
    """A `.weights.h5` file: its number of classes, and a strict way to load it.

    Args:
        path: Path of the file.

    Raises:
        ValueError: Where it is not a Keras weight file with named layers.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = path
        try:
            with h5py.File(path, "r") as file:
                groups = dict(file["layers"])
                nodes = {str(x["vars"].attrs["name"]): _read(x) for x in groups.values()}
        except (OSError, KeyError) as error:
            raise ValueError(
                "`weights` must be a `.weights.h5` file written by `Model.save_weights` of "
                f"Keras 3.15 or later. Received: `weights={os.fspath(path)!r}` ({error})"
            ) from error
        self.nodes = {name: node for name, node in nodes.items() if _count(node)}
        head = self.nodes.get("predictions")
        self.classes = None if head is None else head[""][0].shape[-1]

    def resolve_classes(self, classes: int | None) -> int:
        """The number of classes to build for: what was asked, else the file's own."""
        if classes is None and self.classes is None:
            raise ValueError(
                "The file holds no classifier, so `classes` must say how many there are. "
                f"Received: `weights={os.fspath(self.path)!r}`, `classes=None`"
            )
        return self.classes if classes is None else classes

    def load(self, layers) -> None:
        """Fills the weights of `layers`, each exactly once.

        Raises:
            ValueError: Where layers, numbers of weights or shapes differ; names them all.
        """
        wanted = {layer.name: layer for layer in layers if layer.weights}
        nodes = dict(self.nodes)
        head = wanted.get("predictions")
        if head is not None and self.classes != head.units:
            logger.warning(
                "%s: body loaded, fresh head of %d classes (the file has %s).",
                os.fspath(self.path),
                head.units,
                self.classes,
            )
            del wanted["predictions"]
        unused = set(nodes) - set(wanted) - HEAD
        missing = set(wanted) - set(nodes)
        if unused or missing:
            raise ValueError(
                "The file belongs to another network. "
                f"In the file only: {sorted(unused)}. In the model only: {sorted(missing)}. "
                f"Received: `weights={os.fspath(self.path)!r}`"
            )
        problems = [
            problem
            for name, layer in wanted.items()
            for problem in _mismatches(name, layer, nodes[name])
        ]
        if problems:
            raise ValueError(
                f"The file does not fit this model: {'; '.join(problems)}. "
                f"Received: `weights={os.fspath(self.path)!r}`"
            )
        for name, layer in wanted.items():
            for attributes, arrays in nodes[name].items():
                store = {str(index): array for index, array in enumerate(arrays)}
                _sublayer(layer, attributes).load_own_variables(store)


def _read(group, prefix=""):
    """`{"": own arrays, "attention/fc1": its arrays, ...}` of one layer's group."""
    node = {}
    for key, value in group.items():
        if key == "vars":
            node[prefix] = [_array(value[str(index)]) for index in range(len(value))]
        elif key != "seed_generator":
            node.update(_read(value, f"{prefix}/{key}" if prefix else key))
    return {key: arrays for key, arrays in node.items() if arrays}


def _array(dataset):
    is_bfloat16 = dataset.attrs.get("dtype") == "bfloat16"
    return np.asarray(dataset, dtype="bfloat16" if is_bfloat16 else None)


def _count(node):
    return sum(len(arrays) for arrays in node.values())


def _sublayer(layer, attributes):
    for attribute in filter(None, attributes.split("/")):
        layer = getattr(layer, attribute, None)
    return layer


def _mismatches(name, layer, node):
    """What keeps the arrays of `node` from filling `layer`, in words."""
    if _count(node) != len(layer.weights):
        yield f"{name} has {len(layer.weights)} weights, the file {_count(node)}"
        return
    for attributes, arrays in node.items():
        sublayer = _sublayer(layer, attributes)
        if sublayer is None:
            yield f"{name} has no part {attributes!r}"
            continue
        # A composite layer's own weights come first, so the shapes line up one to one.
        for weight, array in zip(sublayer.weights, arrays):
            if tuple(weight.shape) != array.shape:
                yield f"{weight.path} is {tuple(weight.shape)}, the file's {array.shape}"
