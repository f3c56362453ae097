"""Reads foreign checkpoints into arrays, without the framework that wrote them.

A checkpoint comes from a stranger: nothing in it is executed, nothing is allocated on its word
alone, and whatever is wrong with it ends in a `ValueError`. The format is told by the content.

PyTorch's files hold a pickle. `pickle.Unpickler` with a strict `find_class` would run no foreign
code, but it still hashes what the file makes a key of (a tuple that nests itself sixty times
takes years, one that nests a million deep overflows the C stack), so a small machine of our own
reads the opcodes: it knows three functions, all of them below, and keeps only what names tensors.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import re
import stat
import struct
import types
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
import safetensors

from keras_shiftmlp.checkpoints.containers import keras_h5

__all__ = ["MAX_BYTES", "container", "read"]

# The most that the arrays of one file may take.
MAX_BYTES = 8 << 30
# What a file may declare is this many times its own size, and a little more: weights barely
# compress, but a small file may hold a few fresh layers, which are all zeros or ones.
MAX_GROWTH, FREE_BYTES = 20, 16 << 20
MAX_SAFETENSORS_HEADER = 100_000_000
MAX_PICKLE_BYTES = 256 << 20
# A tensor takes about forty, and one opcode of one byte can cost a few hundred bytes.
MAX_PICKLE_OPCODES = 2_000_000
# No key is as long as this, only a script's configuration.
MAX_TEXT = 1 << 16
# Central directory of a zip file: some 40,000 entries, each of them an object.
MAX_ZIP_READ = 4 << 20
# Numpy parses up to 10,000 characters.
MAX_NPY_HEAD = 1 << 16
CHUNK = 1 << 20

ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")
HDF5_START = b"\x89HDF\r\n\x1a\n"
# `pickle.dumps(0x1950A86A20F9469CFC6C)`, after the protocol that it was written with.
TORCH_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
TORCH_PROTOCOL = 1001
# Where training scripts keep the state dict, plain weights before averaged ones.
WRAPPERS = ("model", "state_dict", "module", "model_ema", "state_dict_ema")

# Bytes of a number, read or then as float32, whichever is more.
SAFETENSORS_DTYPES = {"F64": 8, "F32": 4, "F16": 4, "BF16": 4, "BOOL": 1} | {
    f"{sign}{bits}": bits // 8 for sign in "IU" for bits in (8, 16, 32, 64)
}
STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


def container(path: str | os.PathLike) -> str:
    """Tells the format of a checkpoint by its content, whatever its name.

    Args:
        path: Path of the file.

    Returns:
        `"npz"`, `"safetensors"`, `"torch"` or `"h5"`.

    Raises:
        ValueError: Where it is none of these.
        OSError: Where the file cannot be opened or read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_shiftmlp.checkpoints.containers import readers
        >>> path = Path(tempfile.mkdtemp()) / "mixer.bin"
        >>> with path.open("wb") as file:
        ...     np.savez(file, **{"head/bias": np.zeros(5, "float32")})
        >>> readers.container(path)
        'npz'
    """
    with _opened(path) as (file, size):
        return _recognise(file, size)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays of a checkpoint, executing nothing in it.

    Of a PyTorch file it reads the state dict alone, which is the first mapping with tensors under
    `model`, `state_dict`, `module`, `model_ema` or `state_dict_ema` (in this order, at any depth
    of these), else the top level itself; a `module.` that all keys begin with is dropped.

    Args:
        path: Path of the file.

    Returns:
        The arrays by their keys in the file, an `.npz`'s without `.npy`: numbers with a fraction
        as float32, integers and booleans as they are. An array may be read-only, and tensors that
        share memory in the file may share it here. The keys of a `.weights.h5` are
        `layer/part/.../index`, and its numbers stay of the type that the model had.

    Raises:
        ValueError: Where the file is of another format, is damaged, holds anything but finite
            numbers, or would take more memory than its size warrants.
        OSError: Where the file cannot be opened or read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from keras_shiftmlp.checkpoints.containers import readers
        >>> path = Path(tempfile.mkdtemp()) / "mixer.npz"
        >>> np.savez(path, **{"head/bias": np.zeros(5, "float64")})
        >>> {key: (array.shape, array.dtype.name) for key, array in readers.read(path).items()}
        {'head/bias': ((5,), 'float32')}
    """
    with _opened(path) as (file, size):
        kind = _recognise(file, size)
        if kind == "h5":
            return dict(keras_h5.read(file, size))
        if kind == "npz":
            return _read_npz(file, size)
        if kind == "safetensors":
            return _read_safetensors(path, file, size)
        if file.read(2) == b"PK":
            return _read_torch_zip(file, size)
        return _read_torch_legacy(file, size)


@contextlib.contextmanager
def _opened(path) -> Iterator[tuple[BinaryIO, int]]:
    """The open file and its size; turns whatever goes wrong inside into a `ValueError`."""
    try:
        # Before opening: to open a named pipe is to wait for someone to write into it.
        status = os.stat(os.fspath(path))
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(f"`path` must name a file. Received: `{path=}`")
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        with open(path, "rb") as file:
            yield file, status.st_size
    except OSError:
        raise
    except BaseException as error:
        # Rust's panics, out of safetensors, are no `Exception`; neither is Ctrl+C.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error)[:500]
        if not isinstance(error, ValueError):
            reason = f"{type(error).__name__}: {reason}"
        raise ValueError(
            "`path` must be a whole checkpoint in one of the formats .npz, .safetensors, "
            f"PyTorch and HDF5, with finite numbers in it. Received: `{path=}` ({reason})"
        ) from error


def _recognise(file, size) -> str:
    start = file.read(1024)
    file.seek(0)
    if start.startswith(ZIP_STARTS):
        names = list(_open_zip(file, size)[1])
        file.seek(0)
        if any(name.endswith("/data.pkl") for name in names):
            return "torch"
        if any(name.endswith(".npy") for name in names):
            return "npz"
        raise ValueError("it is a zip file, but neither an .npz nor PyTorch's")
    if start.startswith(HDF5_START):
        return "h5"
    # From protocol 4 on, a frame's opcode and length come in between.
    if start[:1] == b"\x80" and TORCH_MAGIC in (start[2:15], start[11:24]):
        return "torch"
    # Before the web page, as the length of a header may read `<`.
    length = int.from_bytes(start[:8], "little")
    if start[8:9] == b"{" and 2 <= length <= size - 8:
        return "safetensors"
    if re.match(rb"(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*<", start):
        raise ValueError("it is a web page, saved in place of the file that was to be downloaded")
    if start[8:9] == b"{":
        raise ValueError(f"it looks like .safetensors, but cut short in a header of {length} bytes")
    raise ValueError("its format is unknown")


# ---------------------------------------------------------------------------------------------
# All formats


def _check_total(total, size):
    """Refuses to produce `total` bytes out of a file of `size`."""
    if total > min(MAX_BYTES, MAX_GROWTH * size + FREE_BYTES):
        raise ValueError(f"{size} bytes of file declare {total} bytes of arrays")


def _finish(key, array) -> np.ndarray:
    """Floats as finite float32, integers and booleans as they are, all in this machine's order."""
    if array.dtype == ml_dtypes.bfloat16 or (array.dtype.kind == "f" and array.itemsize <= 8):
        with np.errstate(all="ignore"):
            array = array.astype(np.float32, copy=False)
        # A sum of finite numbers could overflow, so each one is looked at.
        if not np.isfinite(array).all():
            raise ValueError(f"{_name(key)} holds NaN, infinity or more than float32 can")
        return array
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise ValueError(f"{_name(key)} holds booleans that are neither 0 nor 1")
    if array.dtype.kind not in "iub":
        raise ValueError(f"{_name(key)} has the dtype {array.dtype}, which no weight has")
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _bytes_of(count, dtype) -> int:
    """What `count` numbers take, read and then as float32."""
    return count * (max(dtype.itemsize, 4) if dtype.kind not in "iub" else dtype.itemsize)


def _name(key) -> str:
    return repr(key if len(key) <= 200 else key[:200] + "...")


# ---------------------------------------------------------------------------------------------
# Zip files and .npz


class _Guarded:
    """A file of which nobody reads much at once: `zipfile` takes the directory's size on trust."""

    def __init__(self, file):
        self._file, self.tell = file, file.tell

    def seekable(self):
        return True

    def seek(self, position, whence=os.SEEK_SET):
        # The system would call this an error of input or output.
        if whence == os.SEEK_SET and position < 0:
            raise ValueError("the zip file has an entry before its start")
        return self._file.seek(position, whence)

    def read(self, count=-1):
        if count > MAX_ZIP_READ:
            raise ValueError(f"the zip file has a directory of {count} bytes")
        return self._file.read(count if count >= 0 else MAX_ZIP_READ)


def _open_zip(file, size):
    """The archive, and its entries by name, once they look harmless."""
    archive = zipfile.ZipFile(_Guarded(file))
    entries, total = {}, 0
    for entry in archive.infolist():
        # The name as it is in the file: `entry.filename` hides a null byte and backslashes.
        name = entry.orig_filename
        if {"", ".", ".."} & set(name.split("/")) or re.search(r"\\|\0|^[A-Za-z]:", name):
            raise ValueError(f"the zip file has an entry with the path {_name(name)}")
        if name in entries:
            raise ValueError(f"the zip file has two entries {_name(name)}")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"the zip file compresses {_name(name)} in an unusual way")
        if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
            raise ValueError(f"the zip file has two sizes for {_name(name)}")
        entries[name] = entry
        total += entry.file_size
    _check_total(total, size)
    # Entries that lie on top of each other are the other way to a zip bomb.
    if sum(entry.compress_size for entry in entries.values()) > size:
        raise ValueError("the zip file's entries overlap")
    return archive, entries


def _fill(source, count) -> np.ndarray:
    """Reads exactly `count` bytes; the caller has checked that so many are plausible."""
    array = np.empty(count, np.uint8)
    done = 0
    while done < count:
        piece = source.read(min(CHUNK, count - done))
        if not piece:
            raise ValueError(f"data ends after {done} of {count} bytes")
        array[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return array


def _read_npz(file, size):
    archive, entries = _open_zip(file, size)
    arrays, total = {}, 0
    for name, entry in entries.items():
        key = name.removesuffix(".npy")
        if key == name or key == "" or key.endswith("/"):
            raise ValueError(f"the entry {_name(name)} is no array")
        with archive.open(entry) as source:
            head = _npy_head(source, key)
            shape, fortran, dtype = _npy_header(io.BytesIO(head), key)
            count = math.prod(shape)
            if count * dtype.itemsize != entry.file_size - len(head):
                raise ValueError(f"{_name(key)} has another size than its shape {shape}")
            total += _bytes_of(count, dtype)
            _check_total(total, size)
            array = _fill(source, count * dtype.itemsize).view(dtype)
            # The checksum is compared when the end is met.
            if source.read(1):
                raise ValueError(f"{_name(key)} is longer than it says")
        arrays[key] = _finish(key, array.reshape(shape, order="F" if fortran else "C"))
    return arrays


def _npy_head(source, key) -> bytes:
    """The bytes before the numbers, of which Numpy would read as many as are announced."""
    head = source.read(12)
    if head[6:7] == b"\1":
        length = 10 + int.from_bytes(head[8:10], "little")
    else:
        length = 12 + int.from_bytes(head[8:12], "little")
    if not 12 <= length <= MAX_NPY_HEAD:
        raise ValueError(f"{_name(key)} has a header of {length} bytes")
    return head + source.read(length - 12)


def _npy_header(source, key):
    version = np.lib.format.read_magic(source)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    # The third is for field names outside Latin-1, and weights have no fields.
    if version not in readers:
        raise ValueError(f"{_name(key)} is in version {version} of .npy, not 1.0 or 2.0")
    with warnings.catch_warnings():
        # Numpy's on headers from Python 2, and Python's own on odd literals.
        warnings.simplefilter("ignore")
        shape, fortran, dtype = readers[version](source)
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"{_name(key)} has the dtype {dtype}, which no weight has")
    if any(length < 0 for length in shape):
        raise ValueError(f"{_name(key)} has the shape {shape}")
    return tuple(map(int, shape)), fortran, dtype


# ---------------------------------------------------------------------------------------------
# .safetensors


def _read_safetensors(path, file, size):
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_SAFETENSORS_HEADER, size - 8):
        raise ValueError(f"the header takes {length} bytes")
    arrays, total = {}, 0
    with safetensors.safe_open(os.fspath(path), framework="numpy") as source:
        # The library has held the header against the file, but takes the last of two like keys.
        json.loads(file.read(length), object_pairs_hook=_refuse_duplicates)
        for key in source.keys():  # noqa: SIM118 - it is no mapping
            piece = source.get_slice(key)
            dtype = piece.get_dtype()
            if dtype not in SAFETENSORS_DTYPES:
                raise ValueError(f"{_name(key)} has the dtype {dtype}, which no weight has")
            total += math.prod(piece.get_shape()) * SAFETENSORS_DTYPES[dtype]
            _check_total(total, size)
            arrays[key] = _finish(key, source.get_tensor(key))
    return arrays


def _refuse_duplicates(pairs):
    """A hook that keeps nothing, as only the refusal is wanted."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("the header says something twice")


# ---------------------------------------------------------------------------------------------
# PyTorch's pickle: what a file can build


class _Inert:
    """Stands for every class, function and object that is not ours, and does nothing."""


INERT = _Inert()
# For kinds of tensors that are not read: they may lie anywhere but among the weights.
INERT_TENSOR = _Inert()
# Stands for all keys of a mapping that are no strings.
OTHER = object()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    key: str
    dtype: np.dtype | None
    count: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """Where a tensor lies; nothing is read before it is known to be wanted."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def check(self, key):
        """Refuses to reach beyond the storage, or to be larger than it."""
        storage, shape = self.storage, self.shape
        if storage.dtype is None:
            raise ValueError(f"{_name(key)} is of a kind that is not read")
        if math.prod(shape) > storage.count or self.offset > storage.count:
            raise ValueError(f"{_name(key)} of shape {shape} is larger than what it is stored in")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(shape, self.strides))
        if 0 not in shape and last >= storage.count:
            raise ValueError(f"{_name(key)} of shape {shape} reaches beyond what it is stored in")

    def view(self, data) -> np.ndarray:
        """This tensor in the bytes of its storage, copied only where it is strided."""
        dtype, shape = self.storage.dtype, self.shape
        if 0 in shape:
            return np.empty(shape, dtype)
        # The stride of an axis of size one is never used, and may be any number.
        strides = [
            stride * dtype.itemsize if size > 1 else 0 for size, stride in zip(shape, self.strides)
        ]
        flat = data.view(dtype)[self.offset :]
        return np.asarray(np.lib.stride_tricks.as_strided(flat, shape, strides), order="C")


def _is_count(value) -> bool:
    return type(value) is int and 0 <= value < 1 << 48


def _are_counts(values) -> bool:
    return type(values) is tuple and len(values) <= 32 and all(map(_is_count, values))


def _rebuild_tensor(storage, offset, shape, strides, *_rest):
    fits = _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)
    if not (isinstance(storage, _Storage) and _is_count(offset) and fits):
        raise ValueError("the pickle describes a tensor in a way that PyTorch does not")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data=INERT, *_rest):
    return data


def _ordered_dict(pairs=(), *_rest):
    """Python 2 wrote the items along; later ones are set one by one."""
    mapping = {}
    for pair in pairs if type(pairs) is list else ():
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise ValueError("the pickle has an ordered mapping without keys")
        _set(mapping, *pair)
    return mapping


def _set(target, key, value):
    """Keys other than strings are neither kept nor hashed: that can take forever."""
    if type(target) is dict:
        target[key if type(key) is str else OTHER] = value


BUILDERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
    ("torch.nn.parameter", "Parameter"): _rebuild_parameter,
} | {("torch", name): np.dtype(dtype) for name, dtype in STORAGES.items()}


def _find(module, name):
    if type(module) is not str or type(name) is not str:
        return INERT
    return BUILDERS.get((module, name), INERT_TENSOR if module == "torch._utils" else INERT)


# ---------------------------------------------------------------------------------------------
# PyTorch's pickle: the machine


class _Unpickler:
    """Reads one pickle of protocols 2 to 5, with nothing to call but `BUILDERS`.

    Args:
        file: A binary file, at the start of the pickle; it is left at the end.
        size: How many bytes of it are left.
        storages: Receives every storage by its key.
    """

    def __init__(self, file, size: int, storages: dict[str, _Storage]):
        self._file = file
        self._left = min(size, MAX_PICKLE_BYTES)
        self._budget = MAX_PICKLE_OPCODES
        self._storages = storages
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def load(self):
        try:
            while True:
                opcode = self._take(1)
                if opcode == b".":
                    return self._stack.pop()
                step = STEPS.get(opcode)
                if step is None:
                    raise ValueError(f"the pickle has the opcode {opcode!r}")
                self._spend(1)
                step(self)
        except LookupError as error:
            raise ValueError("the pickle takes what it has not put") from error

    def _spend(self, steps):
        self._budget -= steps
        if self._budget < 0:
            raise ValueError(f"the pickle takes more than {MAX_PICKLE_OPCODES} steps")

    def _take(self, count) -> bytes:
        # Before reading: a length of 2**60 would be allocated first.
        if count > self._left:
            raise ValueError("the pickle is cut short, or too long")
        data = self._file.read(count)
        if len(data) != count:
            raise ValueError("the pickle is cut short")
        self._left -= count
        return data

    def _number(self, layout):
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        line = self._file.readline(min(256, self._left))
        self._left -= len(line)
        if not line.endswith(b"\n"):
            raise ValueError("the pickle has a name without an end")
        return line[:-1].decode()

    def _push(self, value):
        self._stack.append(value)

    def _pop_mark(self) -> list:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def _mark(self):
        self._marks.append(len(self._stack))

    def _pop(self):
        # The mark counts as an item.
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._stack.pop()

    def _bytes(self, layout):
        """Bytes name nothing, so they are passed over."""
        self._pass(self._number(layout))

    def _text(self, layout, encoding="utf-8"):
        count = self._number(layout)
        if count > MAX_TEXT:
            self._pass(count)
        else:
            self._push(self._take(count).decode(encoding, "surrogatepass"))

    def _pass(self, count):
        while count:
            count -= len(self._take(min(CHUNK, count)))
        self._push(INERT)

    def _long(self, layout):
        count = self._number(layout)
        if not 0 <= count <= MAX_TEXT:
            raise ValueError(f"the pickle has an integer of {count} bytes")
        self._push(int.from_bytes(self._take(count), "little", signed=True))

    def _tuple(self, count):
        items = tuple(self._stack[-count:])
        if len(items) != count:
            raise LookupError
        del self._stack[-count:]
        self._push(items)

    def _get(self, layout):
        self._push(self._memo[self._number(layout)])

    def _put(self, layout):
        # A dict, as an index can be 2**32 and a list would have as many places.
        self._memo[self._number(layout)] = self._stack[-1]

    def _memoize(self):
        self._memo[len(self._memo)] = self._stack[-1]

    def _append(self):
        value = self._stack.pop()
        if type(self._stack[-1]) is list:
            self._stack[-1].append(value)

    def _appends(self):
        values = self._pop_mark()
        if type(self._stack[-1]) is list:
            self._stack[-1].extend(values)

    def _setitem(self):
        value, key = self._stack.pop(), self._stack.pop()
        _set(self._stack[-1], key, value)

    def _setitems(self):
        items = self._pop_mark()
        if len(items) % 2:
            raise ValueError("the pickle has a mapping with a key too many")
        for key, value in zip(items[::2], items[1::2]):
            _set(self._stack[-1], key, value)

    def _build(self):
        self._stack.pop()

    def _global(self):
        self._push(_find(self._line(), self._line()))

    def _stack_global(self):
        name, module = self._stack.pop(), self._stack.pop()
        self._push(_find(module, name))

    def _call(self, extra=0):
        """`REDUCE`, `NEWOBJ` and, with keywords that nothing of ours has, `NEWOBJ_EX`."""
        for _ in range(extra):
            self._stack.pop()
        arguments, function = self._stack.pop(), self._stack.pop()
        # The only functions that can be on the stack are the three of `BUILDERS`.
        if isinstance(function, types.FunctionType):
            if type(arguments) is not tuple or len(arguments) > 16:
                raise ValueError("the pickle calls something without arguments")
            if arguments and type(arguments[0]) is list:
                self._spend(len(arguments[0]))
            self._push(function(*arguments))
        else:
            # Calling it once more or less changes nothing.
            self._push(function if isinstance(function, _Inert) else INERT)

    def _persistent(self):
        """`("storage", type, key, device, count)`, in older files with a view of another."""
        name = self._stack.pop()
        kind = name[0] if type(name) is tuple and name else None
        if type(kind) is str and kind == "module":
            self._push(INERT)
            return
        known = type(kind) is str and kind == "storage" and len(name) in (5, 6)
        if not known or type(name[2]) is not str or not _is_count(name[4]):
            raise ValueError("the pickle refers to a storage in a way that PyTorch does not")
        if len(name) == 6 and name[5] is not None:
            raise ValueError("the pickle has storages inside storages, as before PyTorch 0.4")
        dtype = name[1] if isinstance(name[1], np.dtype) else None
        storage = self._storages.setdefault(name[2], _Storage(name[2], dtype, name[4]))
        if storage.dtype is not dtype or storage.count != name[4]:
            raise ValueError(f"the pickle has two storages {_name(name[2])}")
        self._push(storage)


def _with(method, *arguments) -> Callable[[_Unpickler], None]:
    return lambda machine: method(machine, *arguments)


def _constant(value) -> Callable[[_Unpickler], None]:
    return lambda machine: machine._push(value)


def _fresh(factory) -> Callable[[_Unpickler], None]:
    return lambda machine: machine._push(factory())


def _number(layout) -> Callable[[_Unpickler], None]:
    return lambda machine: machine._push(machine._number(layout))


# What protocols 2 to 5 write, less what reads text, persistent names as text, extensions of
# `copyreg` and out-of-band buffers.
STEPS: dict[bytes, Callable[[_Unpickler], None]] = {
    b"\x80": lambda machine: machine._take(1),
    b"\x95": lambda machine: machine._take(8),
    b"(": _Unpickler._mark,
    b"0": _Unpickler._pop,
    b"1": lambda machine: machine._pop_mark(),
    b"2": lambda machine: machine._push(machine._stack[-1]),
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"J": _number("<i"),
    b"K": _number("<B"),
    b"M": _number("<H"),
    b"G": _number(">d"),
    b"\x8a": _with(_Unpickler._long, "<B"),
    b"\x8b": _with(_Unpickler._long, "<i"),
    # From Python 2, whose names are plain texts of bytes.
    b"U": _with(_Unpickler._text, "<B", "latin-1"),
    b"T": _with(_Unpickler._text, "<I", "latin-1"),
    b"\x8c": _with(_Unpickler._text, "<B"),
    b"X": _with(_Unpickler._text, "<I"),
    b"\x8d": _with(_Unpickler._text, "<Q"),
    b"C": _with(_Unpickler._bytes, "<B"),
    b"B": _with(_Unpickler._bytes, "<I"),
    b"\x8e": _with(_Unpickler._bytes, "<Q"),
    b"\x96": _with(_Unpickler._bytes, "<Q"),
    b")": _constant(()),
    b"t": lambda machine: machine._push(tuple(machine._pop_mark())),
    b"\x85": _with(_Unpickler._tuple, 1),
    b"\x86": _with(_Unpickler._tuple, 2),
    b"\x87": _with(_Unpickler._tuple, 3),
    b"]": _fresh(list),
    b"a": _Unpickler._append,
    b"e": _Unpickler._appends,
    b"}": _fresh(dict),
    b"s": _Unpickler._setitem,
    b"u": _Unpickler._setitems,
    # No weight is in a set.
    b"\x8f": _constant(INERT),
    b"\x90": lambda machine: machine._pop_mark(),
    b"\x91": lambda machine: (machine._pop_mark(), machine._push(INERT)),
    b"c": _Unpickler._global,
    b"\x93": _Unpickler._stack_global,
    b"R": _Unpickler._call,
    b"\x81": _Unpickler._call,
    b"\x92": _with(_Unpickler._call, 1),
    b"b": _Unpickler._build,
    b"Q": _Unpickler._persistent,
    b"h": _with(_Unpickler._get, "<B"),
    b"j": _with(_Unpickler._get, "<I"),
    b"q": _with(_Unpickler._put, "<B"),
    b"r": _with(_Unpickler._put, "<I"),
    b"\x94": _Unpickler._memoize,
}


# ---------------------------------------------------------------------------------------------
# PyTorch's files


def _read_torch_zip(file, size):
    archive, entries = _open_zip(file, size)
    tops = [name.split("/")[0] for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(tops) != 1:
        raise ValueError(f"the zip file has {len(tops)} entries data.pkl one folder deep")

    def fetch(name, count=None):
        entry = entries.get(f"{tops[0]}/{name}")
        if entry is None:
            raise ValueError(f"the zip file has no entry {_name(name)}")
        if count not in (None, entry.file_size):
            raise ValueError(f"{_name(name)} has {entry.file_size} bytes in place of {count}")
        with archive.open(entry) as source:
            data = _fill(source, entry.file_size)
            if source.read(1):
                raise ValueError(f"{_name(name)} is longer than it says")
        return data

    if f"{tops[0]}/byteorder" in entries and fetch("byteorder", 6).tobytes() != b"little":
        raise ValueError("its numbers are big-endian")
    length = entries[f"{tops[0]}/data.pkl"].file_size
    if length > MAX_PICKLE_BYTES:
        raise ValueError(f"data.pkl has {length} bytes")
    pickle = io.BytesIO(fetch("data.pkl").data)
    top = _Unpickler(pickle, length, {}).load()
    return _materialise(top, size, lambda x: fetch(f"data/{x.key}", x.count * x.dtype.itemsize))


def _read_torch_legacy(file, size):
    """Five pickles (magic number, version, machine, object, keys), then one storage per key."""
    file.seek(0)
    storages: dict[str, _Storage] = {}

    def load(**kwargs):
        return _Unpickler(file, size - file.tell(), **{"storages": {}, **kwargs}).load()

    load()
    version = load()
    if type(version) is not int or version != TORCH_PROTOCOL:
        raise ValueError("its version of PyTorch's format is unknown")
    machine = load()
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    top = load(storages=storages)
    keys = load()
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise ValueError("it has no list of storages")
    if len(keys) != len(set(keys)) or set(keys) != set(storages):
        raise ValueError("its list of storages is not that of its tensors")
    starts, position = {}, file.tell()
    for key in keys:
        storage = storages[key]
        if storage.dtype is None:
            raise ValueError(f"its storage {_name(key)} is of a kind that is not read")
        file.seek(position)
        count = file.read(8)
        if count != storage.count.to_bytes(8, "little"):
            raise ValueError(f"its storage {_name(key)} has another length than its tensors say")
        starts[key] = position + 8
        position += 8 + storage.count * storage.dtype.itemsize
    if position != size:
        raise ValueError(f"it has {size} bytes in place of {position}")

    def fetch(storage):
        file.seek(starts[storage.key])
        return _fill(file, storage.count * storage.dtype.itemsize)

    return _materialise(top, size, fetch)


def _materialise(top, size, fetch):
    """Reads the tensors of the state dict in `top`, each storage once."""
    tensors = {}
    for key, value in _find_state_dict(top).items():
        if key is OTHER:
            raise ValueError("the state dict has keys that are no names")
        if isinstance(value, _Tensor):
            tensors[key] = value
        elif value is INERT_TENSOR:
            raise ValueError(f"{_name(key)} is a tensor of a kind that is not read")
        elif not (value is None or value is INERT or type(value) in (bool, int, float, str)):
            raise ValueError(f"{_name(key)} is no tensor but a {type(value).__name__}")
    total = 0
    for key, tensor in tensors.items():
        tensor.check(key)
        total += _bytes_of(math.prod(tensor.shape), tensor.storage.dtype)
        _check_total(total, size)
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    storages, arrays = {}, {}
    for key, tensor in tensors.items():
        name = tensor.storage.key
        if name not in storages:
            storages[name] = fetch(tensor.storage)
        arrays[key] = _finish(key, tensor.view(storages[name]))
    return arrays


def _find_state_dict(top) -> dict:
    seen = set()

    def find(mapping, depth):
        # Mappings can hold themselves, and one can be at many places.
        if type(mapping) is not dict or id(mapping) in seen or depth > 4:
            return None
        seen.add(id(mapping))
        for wrapper in WRAPPERS:
            found = find(mapping.get(wrapper), depth + 1)
            if found is not None:
                return found
        has_tensors = any(isinstance(value, _Tensor) for value in mapping.values())
        return mapping if has_tensors else None

    found = find(top, 0)
    if found is None:
        raise ValueError("it holds no state dict: save `model.state_dict()`, not the model")
    return found
