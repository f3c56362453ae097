"""Groups of channels, cut in the form whose gradient each backend computes fastest."""

import itertools
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


def channel_groups(x: Any, sizes: Sequence[int]) -> list[Any]:
    """Cuts a tensor `(..., C)` into one tensor `(..., C_g)` per size; the sizes sum to `C`.

    PyTorch's gradient of a slice is a tensor of zeros of the whole size, and these are summed. Its
    gradient of a split is a concatenation.
    """
    if len(set(sizes)) == 1:
        return ops.split(x, len(sizes), axis=-1)
    ends = list(itertools.accumulate(sizes))
    if keras.backend.backend() == "torch":
        return ops.split(x, ends[:-1], axis=-1)
    # TensorFlow would not know the channels of an unequal split.
    return [x[..., end - size : end] for size, end in zip(sizes, ends)]
