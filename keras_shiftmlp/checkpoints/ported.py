"""A foreign checkpoint on its way into a model."""

import numpy as np

from keras_shiftmlp.checkpoints import sources
from keras_shiftmlp.checkpoints.port import port


class PortedFile:
    """A foreign checkpoint, read and recognised.

    Args:
        arrays: Its tensors by name; `load` empties it.
        received: What the user wrote, for messages.
        family: The general constructor's name.

    Raises:
        ValueError: Where the layout is unknown, or of another family.
    """

    def __init__(self, arrays: dict[str, np.ndarray], received: str, family: str):
        self.source = sources.recognise(arrays, received)
        if self.source.family != family:
            raise ValueError(
                f"The file holds a {self.source.family} ({self.source.name}), not a {family}. "
                f"Received: `weights={received!r}`"
            )
        self.arrays, self.gelu = arrays, self.source.hyperparameters.get("gelu")
        head = arrays.get(self.source.head)
        self.classes = None if head is None else head.size

    def load(self, layers) -> None:
        """Fills the weights of `layers`; see `port`."""
        port(self.arrays, self.source.table, layers)
