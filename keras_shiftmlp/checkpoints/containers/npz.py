"""Reads `.npz` files, and opens the zip files of all formats."""

import io
import math
import os
import re
import warnings
import zipfile
from typing import BinaryIO

import numpy as np

from keras_shiftmlp.checkpoints.containers._common import (
    bytes_of,
    check_total,
    fill,
    finish,
    quoted,
)

# The central directory of a zip file: some 40,000 entries, each of which becomes an object.
MAX_ZIP_READ = 4 << 20
# NumPy parses up to 10,000 characters.
MAX_NPY_HEADER = 1 << 16


class _LimitedReads:
    """A file that limits each read: `zipfile` trusts the size that the directory declares."""

    def __init__(self, file):
        self._file, self.tell = file, file.tell

    def seekable(self):
        return True

    def seek(self, position, whence=os.SEEK_SET):
        # The operating system would raise an `OSError`.
        if whence == os.SEEK_SET and position < 0:
            raise ValueError("the zip file has an entry before its start")
        return self._file.seek(position, whence)

    def read(self, count=-1):
        if count > MAX_ZIP_READ:
            raise ValueError(f"the zip file has a directory of {count} bytes")
        return self._file.read(count if count >= 0 else MAX_ZIP_READ)


def open_zip(file: BinaryIO, size: int) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """The archive, and its entries by name after a check of their names and sizes."""
    archive = zipfile.ZipFile(_LimitedReads(file))
    entries, total = {}, 0
    for entry in archive.infolist():
        # The name as stored: `entry.filename` hides null bytes and backslashes.
        name = entry.orig_filename
        if {"", ".", ".."} & set(name.split("/")) or re.search(r"\\|\0|^[A-Za-z]:", name):
            raise ValueError(f"the zip file has an entry with the path {quoted(name)}")
        if name in entries:
            raise ValueError(f"the zip file has two entries {quoted(name)}")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"the zip file compresses {quoted(name)} in an unusual way")
        if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
            raise ValueError(f"the zip file has two sizes for {quoted(name)}")
        entries[name] = entry
        total += entry.file_size
    check_total(total, size)
    # Overlapping entries are the other way to a zip bomb.
    if sum(entry.compress_size for entry in entries.values()) > size:
        raise ValueError("the zip file's entries overlap")
    return archive, entries


def read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """The arrays of an open `.npz` file of `size` bytes, by their names without `.npy`."""
    archive, entries = open_zip(file, size)
    arrays, total = {}, 0
    for name, entry in entries.items():
        key = name.removesuffix(".npy")
        if key == name or key == "" or key.endswith("/"):
            raise ValueError(f"the entry {quoted(name)} is no array")
        with archive.open(entry) as source:
            header = _header_bytes(source, key)
            shape, fortran, dtype = _parse_header(io.BytesIO(header), key)
            count = math.prod(shape)
            if count * dtype.itemsize != entry.file_size - len(header):
                raise ValueError(f"{quoted(key)} has another size than its shape {shape}")
            total += bytes_of(count, dtype)
            check_total(total, size)
            array = fill(source, count * dtype.itemsize).view(dtype)
            # `zipfile` compares the checksum when it reaches the end.
            if source.read(1):
                raise ValueError(f"{quoted(key)} is longer than its entry declares")
        arrays[key] = finish(key, array.reshape(shape, order="F" if fortran else "C"))
    return arrays


def _header_bytes(source, key) -> bytes:
    """All bytes before the numbers; NumPy would read whatever length the file declares."""
    start = source.read(12)
    if start[6:7] == b"\1":
        length = 10 + int.from_bytes(start[8:10], "little")
    else:
        length = 12 + int.from_bytes(start[8:12], "little")
    if not 12 <= length <= MAX_NPY_HEADER:
        raise ValueError(f"{quoted(key)} has a header of {length} bytes")
    return start + source.read(length - 12)


def _parse_header(source, key):
    version = np.lib.format.read_magic(source)
    # Version 3.0 only adds field names outside Latin-1, and weights have no fields.
    parsers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in parsers:
        raise ValueError(f"{quoted(key)} is in version {version} of .npy, not 1.0 or 2.0")
    with warnings.catch_warnings():
        # NumPy warns of headers from Python 2, Python of odd literals.
        warnings.simplefilter("ignore")
        shape, fortran, dtype = parsers[version](source)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"{quoted(key)} has the dtype {dtype}, which no weight has")
    if any(length < 0 for length in shape):
        raise ValueError(f"{quoted(key)} has the shape {shape}")
    return tuple(map(int, shape)), fortran, dtype
