"""Reads PyTorch's files without PyTorch: the zip format, and the one before it.

Both are published: timm's script writes the older one.

The files hold pickles, and an unpickler calls what a pickle names. One that calls nothing foreign
is still not safe, because it hashes the keys of mappings: a tuple nested sixty times takes years,
one nested a million times overflows the C stack. So `pickletools` splits a pickle into opcodes, and
`_load` follows those that PyTorch writes, all of protocol 2: three functions can be called, and
only texts are hashed.
"""

import dataclasses
import functools
import io
import math
import pickletools
import re
import types
from collections.abc import Iterator
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from keras_shiftmlp.checkpoints.containers._common import Declared, fill, quoted
from keras_shiftmlp.checkpoints.containers.archive import Archive

MAX_PICKLE_BYTES = 32 << 20
# A tensor takes about thirty. One opcode of one byte can cost a few hundred bytes of memory.
MAX_OPCODES = 1_000_000
# The start of a file in the older format: `pickle.dumps(0x1950A86A20F9469CFC6C, 2)`.
MAGIC = b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = 1001
# Where training scripts keep the state dict, plain weights before averaged ones.
WRAPPERS = ("model", "state_dict", "module", "model_ema", "state_dict_ema")
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


class _Inert:
    """Stands for every foreign class, function and object, and does nothing."""


INERT = _Inert()
# A tensor of a kind that is not read: allowed anywhere except among the weights.
INERT_TENSOR = _Inert()
# Stands for all keys of a mapping that are no texts.
OTHER = object()
CONSTANTS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE"}
SINGLETONS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    key: str
    dtype: np.dtype | None  # `None` for a type that is not read
    count: int

    def check(self) -> None:
        """Refuses a type that is not read."""
        if self.dtype is None:
            raise ValueError(f"the storage {quoted(self.key)} is of a kind that is not read")

    def size(self) -> int:
        return self.count * np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """A view of a storage. Its numbers are read once the tensor is known to be a weight."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def check(self, key: str) -> None:
        """Refuses a tensor that is larger than its storage, or reaches beyond it."""
        self.storage.check()
        count = self.storage.count
        if math.prod(self.shape) > count or self.offset > count:
            raise ValueError(f"{quoted(key)} of shape {self.shape} is larger than its storage")
        steps = zip(self.shape, self.strides)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if 0 not in self.shape and last >= count:
            raise ValueError(f"{quoted(key)} of shape {self.shape} reaches beyond its storage")

    def view(self, data: np.ndarray) -> np.ndarray:
        """The tensor in the bytes of its storage, copied only if it is strided."""
        dtype, shape = np.dtype(self.storage.dtype), self.shape
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


BUILDERS: dict[tuple[str, str], Any] = {
    # PyTorch's pickles set the items one by one.
    ("collections", "OrderedDict"): lambda *_rest: {},
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_rest: data,
} | {("torch", name): np.dtype(dtype) for name, dtype in STORAGES.items()}


def _load(file: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """The object of one pickle. The file is left at its end, `storages` receives its storages."""
    stack, marks, memo = [], [], {}

    def pop_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPCODES:
                raise ValueError(f"the pickle has more than {MAX_OPCODES} opcodes")
            match opcode.name:
                case "STOP":
                    return stack.pop()
                case "PROTO":
                    if argument != 2:
                        raise ValueError(f"the pickle has protocol {argument}, PyTorch writes 2")
                case name if name in CONSTANTS:
                    stack.append(argument)
                case name if name in SINGLETONS:
                    stack.append(SINGLETONS[name])
                case "EMPTY_LIST":
                    stack.append([])
                case "EMPTY_DICT":
                    stack.append({})
                case "MARK":
                    marks.append(len(stack))
                case "TUPLE":
                    stack.append(tuple(pop_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    size = int(opcode.name[-1])
                    stack[-size:] = [tuple(stack[-size:])]
                case "APPEND" | "APPENDS":
                    values = [stack.pop()] if opcode.name == "APPEND" else pop_mark()
                    if type(stack[-1]) is list:
                        stack[-1].extend(values)
                case "SETITEM" | "SETITEMS":
                    items = [stack.pop(-2), stack.pop()] if opcode.name == "SETITEM" else pop_mark()
                    if type(stack[-1]) is dict:
                        for key, value in zip(items[::2], items[1::2], strict=True):
                            stack[-1][key if type(key) is str else OTHER] = value
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "GLOBAL":
                    stack.append(_named(*str(argument).split(" ", 1)))
                case "BINPERSID":
                    stack.append(_storage(stack.pop(), storages))
                case "REDUCE" | "NEWOBJ":
                    arguments, function = stack.pop(), stack.pop()
                    stack.append(_call(function, arguments))
                case "BUILD":
                    stack.pop()
                case _:
                    raise ValueError(f"PyTorch does not use {opcode.name}")
    except LookupError as error:
        raise ValueError(f"the pickle is not as PyTorch writes it ({error!r})") from error


def _named(module, name):
    return BUILDERS.get((module, name), INERT_TENSOR if module == "torch._utils" else INERT)


def _call(function, arguments):
    # The only functions that can be on the stack are those of `BUILDERS`.
    if not isinstance(function, types.FunctionType):
        return function if isinstance(function, _Inert) else INERT
    if type(arguments) is not tuple or len(arguments) > 16:
        raise ValueError("the pickle calls a function without arguments")
    return function(*arguments)


def _storage(pid, storages):
    """`("storage", type, key, device, count)`, in the older format also `None` for "no view"."""
    known = type(pid) is tuple and len(pid) in (5, 6) and type(pid[0]) is str
    if not known or pid[0] != "storage" or type(pid[2]) is not str or not _is_count(pid[4]):
        raise ValueError("the pickle refers to a storage in a way that PyTorch does not")
    if len(pid) == 6 and pid[5] is not None:
        raise ValueError("the pickle has storages inside storages, as before PyTorch 0.4")
    dtype = pid[1] if isinstance(pid[1], np.dtype) else None
    storage = storages.setdefault(pid[2], _Storage(pid[2], dtype, pid[4]))
    if storage.dtype is not dtype or storage.count != pid[4]:
        raise ValueError(f"the pickle has two storages {quoted(pid[2])}")
    return storage


def arrays(file: BinaryIO, size: int) -> Iterator[Declared]:
    """The state dict in an open file of `size` bytes."""
    is_zip = file.read(2) == b"PK"
    file.seek(0)
    return _arrays_of_zip(Archive(file, size)) if is_zip else _arrays_of_legacy(file, size)


def _arrays_of_zip(archive):
    tops = [x.split("/")[0] for x in archive.entries if re.fullmatch(r"[^/]+/data\.pkl", x)]
    if len(tops) != 1:
        raise ValueError(f"the zip file has {len(tops)} entries data.pkl one folder deep")
    [top] = tops

    def read(name, size):
        """The bytes of an entry, whose size is compared before memory is allocated."""
        found = archive.entries.get(f"{top}/{name}", size)
        if found != size:
            raise ValueError(f"{quoted(name)} has {found} bytes in place of {size}")
        return archive.read(f"{top}/{name}")

    if f"{top}/byteorder" in archive.entries and read("byteorder", 6).tobytes() != b"little":
        raise ValueError("its numbers are big-endian")
    if archive.entries[f"{top}/data.pkl"] > MAX_PICKLE_BYTES:
        raise ValueError("its data.pkl is too long")
    content = _load(io.BytesIO(archive.read(f"{top}/data.pkl").data), {})
    return _weights(content, lambda storage: read(f"data/{storage.key}", storage.size()))


def _arrays_of_legacy(file, size):
    """A file of the older format.

    It has five pickles (magic number, version, machine, object, keys), then one storage per key.
    """
    start = io.BytesIO(file.read(MAX_PICKLE_BYTES))
    storages: dict[str, _Storage] = {}
    _load(start, {})
    version = _load(start, {})
    if type(version) is not int or version != VERSION:
        raise ValueError("its version of PyTorch's format is unknown")
    machine = _load(start, {})
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    content, keys = _load(start, storages), _load(start, {})
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise ValueError("it has no list of storages")
    if len(keys) != len(set(keys)) or set(keys) != set(storages):
        raise ValueError("its list of storages is not that of its tensors")
    positions, position = {}, start.tell()
    for storage in map(storages.__getitem__, keys):
        storage.check()
        file.seek(position)
        if file.read(8) != storage.count.to_bytes(8, "little"):
            raise ValueError(f"{quoted(storage.key)} has another length than its tensors say")
        positions[storage.key] = position + 8
        position += 8 + storage.size()
    if position != size:
        raise ValueError(f"it has {size} bytes in place of {position}")

    def read(storage):
        file.seek(positions[storage.key])
        return fill(file, storage.size())

    return _weights(content, read)


def _weights(content, read) -> Iterator[Declared]:
    """The tensors of the state dict in `content`; `read` is called once for each storage."""
    tensors = {}
    for key, value in _find_state_dict(content).items():
        if key is OTHER:
            raise ValueError("the state dict has keys that are no names")
        if isinstance(value, _Tensor):
            value.check(key)
            tensors[key] = value
        elif value is INERT_TENSOR:
            raise ValueError(f"{quoted(key)} is a tensor of a kind that is not read")
        elif not (value is None or value is INERT or type(value) in (bool, int, float, str)):
            raise ValueError(f"{quoted(key)} is no tensor but a {type(value).__name__}")
    prefix = "module." if all(key.startswith("module.") for key in tensors) else ""
    read = functools.cache(read)
    for key, tensor in tensors.items():
        yield Declared(
            key.removeprefix(prefix),
            math.prod(tensor.shape),
            tensor.storage.dtype,
            lambda tensor=tensor: tensor.view(read(tensor.storage)),
        )


def _find_state_dict(content) -> dict:
    seen = set()

    def find(mapping, depth):
        # A mapping can hold itself, or be in many places.
        if type(mapping) is not dict or id(mapping) in seen or depth > 4:
            return None
        seen.add(id(mapping))
        for wrapper in WRAPPERS:
            found = find(mapping.get(wrapper), depth + 1)
            if found is not None:
                return found
        has_tensors = any(isinstance(value, _Tensor) for value in mapping.values())
        return mapping if has_tensors else None

    found = find(content, 0)
    if found is None:
        raise ValueError("it holds no state dict: save `model.state_dict()`, not the model")
    return found
