"""Zip files, which `.npz` and PyTorch use: names, sizes and checksums are checked."""

import os
import re
import zipfile
from typing import BinaryIO

import numpy as np

from keras_shiftmlp.checkpoints.containers._common import check_total, fill, quoted

# The central directory of a zip file: some 40,000 entries, each of which becomes an object.
MAX_READ = 4 << 20


class Archive:
    """An open zip file of `size` bytes. `entries` has the declared sizes by name."""

    def __init__(self, file: BinaryIO, size: int):
        self._zip = zipfile.ZipFile(_LimitedReads(file))
        self.entries: dict[str, int] = {}
        for entry in self._zip.infolist():
            # The name as stored: `entry.filename` hides null bytes and backslashes.
            name = entry.orig_filename
            if {"", ".", ".."} & set(name.split("/")) or re.search(r"\\|\0|^[A-Za-z]:", name):
                raise ValueError(f"the zip file has an entry with the path {quoted(name)}")
            if name in self.entries:
                raise ValueError(f"the zip file has two entries {quoted(name)}")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"the zip file compresses {quoted(name)} in an unusual way")
            if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
                raise ValueError(f"the zip file has two sizes for {quoted(name)}")
            self.entries[name] = entry.file_size
        check_total(sum(self.entries.values()), size)
        # Overlapping entries are the other way to a zip bomb.
        if sum(entry.compress_size for entry in self._zip.infolist()) > size:
            raise ValueError("the zip file's entries overlap")

    def read(self, name: str) -> np.ndarray:
        """The bytes of an entry."""
        with self._zip.open(name) as source:
            data = fill(source, self.entries[name])
            # `zipfile` compares the checksum when it reaches the end.
            if source.read(1):
                raise ValueError(f"{quoted(name)} is longer than its entry declares")
        return data


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
        if count > MAX_READ:
            raise ValueError(f"the zip file has a directory of {count} bytes")
        return self._file.read(count if count >= 0 else MAX_READ)
