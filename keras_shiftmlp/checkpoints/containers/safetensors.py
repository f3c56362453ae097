"""Reads `.safetensors` files: the library reads, this module limits."""

import json
import math
import os
from typing import BinaryIO

import numpy as np
import safetensors

from keras_shiftmlp.checkpoints.containers._common import check_total, finish, quoted

MAX_HEADER = 100_000_000
# Bytes of a number, stored or as float32, whichever is more.
DTYPES = {"F64": 8, "F32": 4, "F16": 4, "BF16": 4, "BOOL": 1} | {
    f"{sign}{bits}": bits // 8 for sign in "IU" for bits in (8, 16, 32, 64)
}


def read(path: str | os.PathLike, file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """The arrays of the file at `path`, which is also open as `file` and has `size` bytes."""
    header(file, size)
    arrays, total = {}, 0
    with safetensors.safe_open(os.fspath(path), framework="numpy") as source:
        for key in source.keys():  # noqa: SIM118 - it is no mapping
            piece = source.get_slice(key)
            dtype = piece.get_dtype()
            if dtype not in DTYPES:
                raise ValueError(f"{quoted(key)} has the dtype {dtype}, which no weight has")
            total += math.prod(piece.get_shape()) * DTYPES[dtype]
            check_total(total, size)
            arrays[key] = finish(key, source.get_tensor(key))
    return arrays


def header(file: BinaryIO, size: int) -> dict:
    """The JSON header of an open file of `size` bytes."""
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER, size - 8):
        raise ValueError(f"the header takes {length} bytes")
    # The library would take the last of two equal keys.
    return json.loads(file.read(length), object_pairs_hook=_unique)


def _unique(pairs):
    items = dict(pairs)
    if len(items) != len(pairs):
        raise ValueError("the header has a key twice")
    return items
