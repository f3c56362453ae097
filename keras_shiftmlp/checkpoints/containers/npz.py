"""Reads `.npz` files."""

import io
import math
import warnings
from collections.abc import Iterator

import numpy as np

from keras_shiftmlp.checkpoints.containers._common import Declared, quoted
from keras_shiftmlp.checkpoints.containers.archive import Archive

MAX_HEADER = 1 << 16
# Version 3.0 only adds field names outside Latin-1, and weights have no fields.
PARSERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def arrays(archive: Archive) -> Iterator[Declared]:
    """The arrays of an `.npz` file, by their names without `.npy`."""
    for name in archive.entries:
        key = name.removesuffix(".npy")
        if key in ("", name) or key.endswith("/"):
            raise ValueError(f"the entry {quoted(name)} is no array")
        data = archive.read(name)
        # NumPy would read whatever length of the header the file declares.
        header = io.BytesIO(data[:MAX_HEADER].tobytes())
        shape, fortran, dtype = _parse_header(header, key)
        numbers, count = data[header.tell() :], math.prod(shape)
        if count * dtype.itemsize != len(numbers):
            raise ValueError(f"{quoted(key)} has another size than its shape {shape}")
        array = numbers.view(dtype).reshape(shape, order="F" if fortran else "C")
        yield Declared(key, count, dtype, lambda array=array: array)


def _parse_header(source, key):
    version = np.lib.format.read_magic(source)
    if version not in PARSERS:
        raise ValueError(f"{quoted(key)} is in version {version} of .npy, not 1.0 or 2.0")
    with warnings.catch_warnings():
        # NumPy warns of headers from Python 2, Python of odd literals.
        warnings.simplefilter("ignore")
        shape, fortran, dtype = PARSERS[version](source)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"{quoted(key)} has the dtype {dtype}, which no weight has")
    if any(length < 0 for length in shape):
        raise ValueError(f"{quoted(key)} has the shape {shape}")
    return tuple(map(int, shape)), fortran, dtype
