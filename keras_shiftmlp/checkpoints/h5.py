"""Reads Keras's own `.weights.h5`, by layer name and without guessing.

Keras addresses the layers in such a file by class and order, so a file can load into the wrong
layers without a word. The file also holds every layer's name; this reader goes by that, demands
that both sides have the same layers, and leaves only the head to choice.
"""

import os

from keras_shiftmlp.checkpoints.containers import readers
from keras_shiftmlp.checkpoints.port import HEAD
from keras_shiftmlp.checkpoints.resample import fit_token_weight, token_grid


class H5File:
    """A `.weights.h5` file.

    Args:
        path: Path of the file.

    Raises:
        ValueError: Where it is not a Keras weight file with named layers.
    """

    gelu = None  # the file does not say

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        # `{"": own arrays, "attention/fc1": its arrays, ...}` by layer.
        self.nodes = {}
        for key, array in readers.read(path).items():
            name, *attributes, _ = key.split("/")
            self.nodes.setdefault(name, {}).setdefault("/".join(attributes), []).append(array)
        head = self.nodes.get("predictions", {}).get("")
        self.classes = head[0].shape[-1] if head and head[0].ndim else None

    def load(self, layers) -> None:
        """Fills the weights of `layers`, each exactly once, and lets go of the file's.

        Raises:
            ValueError: Where layers, numbers of weights or shapes differ; names them all.
        """
        wanted = {layer.name: layer for layer in layers if layer.weights}
        unused = set(self.nodes) - set(wanted) - HEAD
        missing = set(wanted) - set(self.nodes)
        if unused or missing:
            raise ValueError(
                "The file belongs to another network. "
                f"In the file only: {sorted(unused)}. In the model only: {sorted(missing)}. "
                f"Received: `weights={self.path!r}`"
            )
        nodes = {name: self.nodes[name] for name in wanted}
        grid = token_grid(layers)
        for name, node in nodes.items():
            if grid and "" in node:
                node[""] = [
                    fit_token_weight(array, weight.path, weight.shape, grid)
                    for array, weight in zip(node[""], wanted[name].weights)
                ]
        problems = [
            problem for name in wanted for problem in _mismatches(name, wanted[name], nodes[name])
        ]
        if problems:
            raise ValueError(
                f"The file does not fit this model: {'; '.join(problems)}. "
                f"Received: `weights={self.path!r}`"
            )
        self.nodes.clear()
        for name, layer in wanted.items():
            for attributes, arrays in nodes.pop(name).items():
                store = {str(index): array for index, array in enumerate(arrays)}
                _sublayer(layer, attributes).load_own_variables(store)


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
    sublayers = {attributes: _sublayer(layer, attributes) for attributes in node}
    if len(set(map(id, sublayers.values()))) != len(node):
        yield f"the file names a part of {name} twice"
    for attributes, arrays in node.items():
        sublayer = sublayers[attributes]
        if not hasattr(sublayer, "load_own_variables"):
            yield f"{name} has no part {attributes!r}"
            continue
        # A composite layer's own weights come first, so the shapes line up one to one.
        for weight, array in zip(sublayer.weights, arrays):
            if tuple(weight.shape) != array.shape:
                yield f"{weight.path} is {tuple(weight.shape)}, the file's {array.shape}"
