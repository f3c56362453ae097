"""Reads `.safetensors` files: the library reads, this module limits."""

import functools
import json
import math
import os
from collections.abc import Iterator
from typing import BinaryIO

import ml_dtypes
import safetensors

from keras_shiftmlp.checkpoints.containers._common import Declared, quoted

MAX_HEADER = 100_000_000
DTYPES = {"F64": "f8", "F32": "f4", "F16": "f2", "BF16": ml_dtypes.bfloat16, "BOOL": "?"} | {
    f"{sign}{bits}": f"{sign.lower()}{bits // 8}" for sign in "IU" for bits in (8, 16, 32, 64)
}


def arrays(path: str | os.PathLike) -> Iterator[Declared]:
    """The arrays of a file whose header was checked."""
    with safetensors.safe_open(os.fspath(path), framework="numpy") as source:
        for key in source.keys():  # noqa: SIM118 - it is no mapping
            piece = source.get_slice(key)
            dtype = piece.get_dtype()
            if dtype not in DTYPES:
                raise ValueError(f"{quoted(key)} has the dtype {dtype}, which no weight has")
            load = functools.partial(source.get_tensor, key)
            yield Declared(key, math.prod(piece.get_shape()), DTYPES[dtype], load)


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
