"""Groups of channels, cut in the form whose gradient each backend computes fastest."""

import itertools
from collections.abc import Sequence
from typing import Any

from keras import ops


def channel_groups(x: Any, sizes: Sequence[int]) -> list[Any]:
    """Cuts a tensor `(..., C)` into one tensor `(..., C_g)` per size; the sizes sum to `C`.

    Equal groups are split. PyTorch's gradient of a slice is a tensor of zeros of the whole size,
    and these are summed; its gradient of a split is a concatenation.
    """
    if len(set(sizes)) == 1:
        return ops.split(x, len(sizes), axis=-1)
    # Keras passes unequal sizes through a tensor, so the channels would be unknown while tracing.
    ends = itertools.accumulate(sizes)
    return [x[..., end - size : end] for size, end in zip(sizes, ends)]
