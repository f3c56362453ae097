"""Reads `.safetensors` files."""

import functools
import json
import math
from collections.abc import Iterator
from typing import BinaryIO

import ml_dtypes
import numpy as np

from keras_shiftmlp.checkpoints.containers._common import Declared, fill, quoted

MAX_HEADER = 100_000_000
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "BOOL": "?"} | {
    f"{sign}{bits}": f"<{sign.lower()}{bits // 8}" for sign in "IU" for bits in (8, 16, 32, 64)
}


def read(file: BinaryIO, size: int) -> tuple[dict[str, str], Iterator[Declared]]:
    """The metadata and the arrays of an open file of `size` bytes."""
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER, size - 8):
        raise ValueError(f"the header takes {length} bytes")
    header = json.loads(file.read(length), object_pairs_hook=_unique)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is no mapping")
    return metadata, _arrays(file, header, size - 8 - length)


def _arrays(file, header, size):
    """The arrays, which must fill the `size` bytes after the header without gap or overlap."""
    position = 0
    for key, facts in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        shape, (begin, end) = facts["shape"], facts["data_offsets"]
        if facts["dtype"] not in DTYPES:
            raise ValueError(f"{quoted(key)} has the dtype {facts['dtype']}, which no weight has")
        dtype, count = np.dtype(DTYPES[facts["dtype"]]), math.prod(shape)
        if begin != position or end != begin + count * dtype.itemsize or min(shape, default=0) < 0:
            raise ValueError(f"{quoted(key)} of shape {shape} is at the bytes {begin} to {end}")
        position = end
        load = functools.partial(_array, file, end - begin, dtype, shape)
        yield Declared(key, count, dtype, load)
    if position != size:
        raise ValueError(f"its arrays take {position} bytes in place of {size}")


def _array(file, size, dtype, shape):
    return fill(file, size).view(dtype).reshape(shape)


def _unique(pairs):
    items = dict(pairs)
    # Readers disagree about which of two equal keys counts.
    if len(items) != len(pairs):
        raise ValueError("the header has a key twice")
    return items
