"""Limits and checks that all formats share."""

from collections.abc import Callable
from typing import IO, Any, NamedTuple

import ml_dtypes
import numpy as np

# The most bytes that the arrays of one file may take.
MAX_BYTES = 8 << 30
# A file may declare this many times its own size, plus a little: weights hardly compress, but a
# small file may hold a few fresh layers, which are all zeros or ones.
MAX_GROWTH, FREE_BYTES = 20, 16 << 20
CHUNK = 1 << 20


class Declared(NamedTuple):
    """An array that a file declares. `load` reads its numbers."""

    key: str
    length: int
    dtype: Any
    load: Callable[[], np.ndarray]

    def size(self) -> int:
        """The bytes that its numbers take, as stored or as float32, whichever is more."""
        dtype = np.dtype(self.dtype)
        return self.length * (dtype.itemsize if dtype.kind in "iub" else max(dtype.itemsize, 4))


def check_total(total: int, size: int) -> None:
    """Refuses to read `total` bytes of arrays from a file of `size` bytes."""
    if total > min(MAX_BYTES, MAX_GROWTH * size + FREE_BYTES):
        raise ValueError(f"{size} bytes of file declare {total} bytes of arrays")


def quoted(key: str) -> str:
    """`key` for a message, shortened."""
    return repr(key if len(key) <= 200 else key[:200] + "...")


def fill(source: IO[bytes], count: int) -> np.ndarray:
    """Reads exactly `count` bytes. The caller has checked `count` against the limits."""
    array = np.empty(count, np.uint8)
    done = 0
    while done < count:
        piece = source.read(min(CHUNK, count - done))
        if not piece:
            raise ValueError(f"data ends after {done} of {count} bytes")
        array[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return array


def finish(key: str, array: np.ndarray) -> np.ndarray:
    """Floats as finite float32; integers and booleans unchanged; all in native byte order."""
    if array.dtype == ml_dtypes.bfloat16 or (array.dtype.kind == "f" and array.itemsize <= 8):
        with np.errstate(all="ignore"):
            array = array.astype(np.float32, copy=False)
        # Each number is checked: a sum of finite numbers could overflow.
        if not np.isfinite(array).all():
            raise ValueError(f"{quoted(key)} holds NaN, infinity or more than float32 can")
        return array
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{quoted(key)} holds booleans that are neither 0 nor 1")
    if array.dtype.kind not in "iub":
        raise ValueError(f"{quoted(key)} has the dtype {array.dtype}, which no weight has")
    return array.astype(array.dtype.newbyteorder("="), copy=False)
