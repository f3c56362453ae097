"""Reads the container formats of checkpoints into arrays, without the framework that wrote them.

A checkpoint comes from a stranger. No code in it is executed, no memory is allocated for a size
that the file only declares, and every fault is a `ValueError`. The content tells the format, the
file name does not.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from safetensors import safe_open

from keras_shiftmlp.checkpoints.containers import keras_h5, npz, torch_pickle
from keras_shiftmlp.checkpoints.containers._common import MAX_BYTES, check_total, finish
from keras_shiftmlp.checkpoints.containers.archive import Archive

__all__ = ["MAX_BYTES", "Contents", "container", "load", "read"]

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
HDF5_START = b"\x89HDF\r\n\x1a\n"


def container(path: str | os.PathLike) -> str:
    """The format of a checkpoint: `"npz"`, `"safetensors"`, `"torch"` or `"h5"`.

    Raises:
        ValueError: If the file has none of these formats.
        OSError: If the file cannot be opened or read.
    """
    with _opened(path) as (file, size):
        return _recognise(file, size)


class Contents(NamedTuple):
    """What a checkpoint holds."""

    kind: str  # the format, as `container` names it
    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]  # the `__metadata__` of a `.safetensors`, else empty


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, as `load` reads them."""
    return load(path).arrays


def load(path: str | os.PathLike) -> Contents:
    """Reads a checkpoint. No code in the file is executed.

    Of a PyTorch file, only the state dict is read: the first mapping with tensors under `model`,
    `state_dict`, `module`, `model_ema` or `state_dict_ema` (in this order, nested up to four
    deep), else the top level. If all keys begin with `module.`, this prefix is removed.

    Returns:
        Its format, arrays and metadata. The arrays have the keys of the file, without `.npy` for
        an `.npz`. Floats are converted to float32; integers and booleans keep their type. Arrays
        may be read-only, and tensors that share memory in the file may share it here. The keys of
        a `.weights.h5` are `layer/part/.../index`, and its arrays keep the type of the model's
        weights.

    Raises:
        ValueError: If the file has another format, is damaged, holds numbers that are not finite,
            or declares far more memory than its size.
        OSError: If the file cannot be opened or read.
    """
    with _opened(path) as (file, size):
        kind, arrays, total = _recognise(file, size), {}, 0
        if kind == "h5":
            return Contents(kind, dict(keras_h5.read(file, size)), {})
        if kind == "safetensors":
            check_total(size, size)
            with safe_open(path, "numpy", backend="pread") as opened:
                arrays = {key: finish(key, x) for key, x in opened.get_tensors().items()}
                return Contents(kind, arrays, opened.metadata() or {})
        if kind == "npz":
            declared = npz.arrays(Archive(file, size))
        else:
            declared = torch_pickle.arrays(file, size)
        for array in declared:
            total += array.size()
            check_total(total, size)
            arrays[array.key] = finish(array.key, array.load())
        return Contents(kind, arrays, {})


@contextlib.contextmanager
def _opened(path) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its size; every error inside, except `OSError`, becomes a `ValueError`."""
    try:
        # Before opening: opening a named pipe would wait for a writer.
        status = os.stat(os.fspath(path))
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"`path` must name a file. Received: `{path=}`")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        with open(path, "rb") as file:
            yield file, status.st_size
    except OSError:
        raise
    except Exception as error:
        reason = str(error)[:500]
        if not isinstance(error, ValueError):
            reason = f"{type(error).__name__}: {reason}"
        raise ValueError(
            "`path` must be a whole checkpoint in one of the formats .npz, .safetensors, "
            f"PyTorch and HDF5, with finite numbers in it. Received: `{path=}` ({reason})"
        ) from error


def _recognise(file, size) -> str:
    """The format of an open file, which is left at its start."""
    start = file.read(1024)
    file.seek(0)
    if start.startswith(ZIP_STARTS):
        names = Archive(file, size).entries
        file.seek(0)
        if any(name.endswith("/data.pkl") for name in names):
            return "torch"
        if any(name.endswith(".npy") for name in names):
            return "npz"
        raise ValueError("it is a zip file, but neither an .npz nor PyTorch's")
    if start.startswith(HDF5_START):
        return "h5"
    if start.startswith(torch_pickle.MAGIC):
        return "torch"
    # Before the test for a web page: the length of a header may begin with the byte `<`.
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and 2 <= length <= size - 8:
        return "safetensors"
    if re.match(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<", start):
        raise ValueError("it is a web page, saved in place of the file that was to be downloaded")
    raise ValueError("its format is unknown, or it was cut short")
