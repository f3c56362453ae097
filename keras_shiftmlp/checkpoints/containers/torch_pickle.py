"""Reads PyTorch's files, the zip format and the one before it, without PyTorch.

The files hold pickles, and an unpickler calls what a pickle names. One that calls nothing foreign
is still not safe, because it hashes the keys of mappings: a tuple nested sixty times takes years,
one nested a million times overflows the C stack. So `pickletools` splits a pickle into opcodes, and
`_load` follows those that PyTorch writes: three functions can be called, and only texts are hashed.
"""

import dataclasses
import io
import math
import pickletools
import re
import types
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from keras_shiftmlp.checkpoints.containers._common import (
    bytes_of,
    check_total,
    fill,
    finish,
    quoted,
)
from keras_shiftmlp.checkpoints.containers.npz import open_zip

MAX_PICKLE_BYTES = 32 << 20
# Reads of an opcode or of its argument. A tensor takes about seventy, and one opcode of one byte
# can cost a few hundred bytes of memory.
MAX_PICKLE_READS = 2_000_000
CONSTANTS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("SHORT_BINSTRING", "BINSTRING", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
# `pickle.dumps(0x1950A86A20F9469CFC6C)` after the protocol number.
MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
PROTOCOL = 1001
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
# A weight is never in a set.
SINGLETONS = {
    "NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": (), "EMPTY_SET": INERT,
}  # fmt: skip
# Stands for all keys of a mapping that are no strings.
OTHER = object()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Storage:
    key: str
    dtype: np.dtype | None
    count: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Tensor:
    """A view of a storage. Its numbers are read once the tensor is known to be a weight."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def check(self, key):
        """Refuses a tensor that is larger than its storage, or reaches beyond it."""
        storage, shape = self.storage, self.shape
        if storage.dtype is None:
            raise ValueError(f"{quoted(key)} is of a kind that is not read")
        if math.prod(shape) > storage.count or self.offset > storage.count:
            raise ValueError(f"{quoted(key)} of shape {shape} is larger than its storage")
        last = self.offset + sum((size - 1) * stride for size, stride in zip(shape, self.strides))
        if 0 not in shape and last >= storage.count:
            raise ValueError(f"{quoted(key)} of shape {shape} reaches beyond its storage")

    def view(self, data) -> np.ndarray:
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


def _rebuild_parameter(data=INERT, *_rest):
    return data


def _ordered_dict(pairs=(), *_rest):
    """Python 2 passes the items to the call; later versions set them one by one."""
    mapping = {}
    for pair in pairs if type(pairs) is list else ():
        if type(pair) not in (list, tuple) or len(pair) != 2:
            raise ValueError("the pickle has an ordered mapping without keys")
        _set(mapping, *pair)
    return mapping


def _set(target, key, value):
    """Sets an item of a dict. Keys that are no strings are not hashed: that can take forever."""
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


class _LimitedFile:
    """A pickle in a file, with limits on its bytes and on the number of reads."""

    def __init__(self, file: BinaryIO, size: int):
        self._file, self._reads_left = file, MAX_PICKLE_READS
        self._left = min(size, MAX_PICKLE_BYTES)

    def spend(self, reads: int) -> None:
        self._reads_left -= reads
        if self._reads_left < 0:
            raise ValueError(f"the pickle takes more than {MAX_PICKLE_READS} reads")

    def read(self, count: int) -> bytes:
        self.spend(1)
        # Before reading, which would allocate a length of 2**60.
        if count > self._left:
            raise ValueError("the pickle is cut short, or too long")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        self.spend(1)
        line = self._file.readline(min(256, self._left))
        self._left -= len(line)
        return line


def _load(file: BinaryIO, size: int, storages: dict[str, _Storage]) -> Any:
    """The object of one pickle of protocols 2 to 5.

    Args:
        file: A binary file, at the start of the pickle; it is left at the end.
        size: How many bytes are left in it.
        storages: Receives every storage by its key.
    """
    source: Any = _LimitedFile(file, size)
    stack, marks, memo = [], [], {}

    def pop_mark():
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    try:
        for opcode, argument, _ in pickletools.genops(source):
            match opcode.name:
                case name if name in CONSTANTS:
                    stack.append(argument)
                case "STOP":
                    return stack.pop()
                case "PROTO" | "FRAME":
                    pass
                case name if name in SINGLETONS:
                    stack.append(SINGLETONS[name])
                case "EMPTY_LIST":
                    stack.append([])
                case "EMPTY_DICT":
                    stack.append({})
                case "POP_MARK" | "ADDITEMS":
                    pop_mark()
                case "FROZENSET":
                    pop_mark()
                    stack.append(INERT)
                case "MARK":
                    marks.append(len(stack))
                case "POP" | "BUILD":
                    stack.pop()
                case "DUP":
                    stack.append(stack[-1])
                case "TUPLE":
                    stack.append(tuple(pop_mark()))
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    count = int(opcode.name[-1])
                    stack[-count:] = [tuple(stack[-count:])]
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "GLOBAL":
                    stack.append(_named(*str(argument).split(" ", 1)))
                case "STACK_GLOBAL":
                    name, module = stack.pop(), stack.pop()
                    stack.append(_named(module, name))
                case "BINPERSID":
                    stack.append(_storage(stack.pop(), storages))
                case "REDUCE" | "NEWOBJ" | "NEWOBJ_EX":
                    if opcode.name == "NEWOBJ_EX":
                        stack.pop()  # keywords, which no function of `BUILDERS` takes
                    arguments, function = stack.pop(), stack.pop()
                    if arguments and type(arguments) is tuple and type(arguments[0]) is list:
                        source.spend(len(arguments[0]))
                    stack.append(_call(function, arguments))
                case "APPEND" | "APPENDS":
                    values = [stack.pop()] if opcode.name == "APPEND" else pop_mark()
                    if type(stack[-1]) is list:
                        stack[-1].extend(values)
                case "SETITEM" | "SETITEMS":
                    items = [stack.pop(-2), stack.pop()] if opcode.name == "SETITEM" else pop_mark()
                    for key, value in zip(items[::2], items[1::2], strict=True):
                        _set(stack[-1], key, value)
                case _:
                    raise ValueError(f"PyTorch does not use {opcode.name}")
    except LookupError as error:
        raise ValueError(f"the pickle is not as PyTorch writes it ({error!r})") from error


def _named(module, name):
    if type(module) is not str or type(name) is not str:
        raise ValueError("the pickle has a name that is no text")
    return BUILDERS.get((module, name), INERT_TENSOR if module == "torch._utils" else INERT)


def _call(function, arguments):
    # The only functions that can be on the stack are those of `BUILDERS`.
    if not isinstance(function, types.FunctionType):
        return function if isinstance(function, _Inert) else INERT
    if type(arguments) is not tuple or len(arguments) > 16:
        raise ValueError("the pickle calls a function without arguments")
    return function(*arguments)


def _storage(pid, storages):
    """`("storage", type, key, device, count)`, in older files with a view of another one."""
    kind = pid[0] if type(pid) is tuple and pid else None
    if type(kind) is str and kind == "module":
        return INERT
    known = type(kind) is str and kind == "storage" and len(pid) in (5, 6)
    if not known or type(pid[2]) is not str or not _is_count(pid[4]):
        raise ValueError("the pickle refers to a storage in a way that PyTorch does not")
    if len(pid) == 6 and pid[5] is not None:
        raise ValueError("the pickle has storages inside storages, as before PyTorch 0.4")
    dtype = pid[1] if isinstance(pid[1], np.dtype) else None
    storage = storages.setdefault(pid[2], _Storage(pid[2], dtype, pid[4]))
    if storage.dtype is not dtype or storage.count != pid[4]:
        raise ValueError(f"the pickle has two storages {quoted(pid[2])}")
    return storage


def read(file: BinaryIO, size: int) -> dict[str, np.ndarray]:
    """The state dict of an open file of `size` bytes, in either of PyTorch's formats."""
    is_zip = file.read(2) == b"PK"
    file.seek(0)
    return _read_zip(file, size) if is_zip else _read_legacy(file, size)


def _read_zip(file, size):
    archive, entries = open_zip(file, size)
    tops = [name.split("/")[0] for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(tops) != 1:
        raise ValueError(f"the zip file has {len(tops)} entries data.pkl one folder deep")

    def fetch(name, count=None):
        entry = entries.get(f"{tops[0]}/{name}")
        if entry is None:
            raise ValueError(f"the zip file has no entry {quoted(name)}")
        if count not in (None, entry.file_size):
            raise ValueError(f"{quoted(name)} has {entry.file_size} bytes in place of {count}")
        with archive.open(entry) as source:
            data = fill(source, entry.file_size)
            # `zipfile` compares the checksum when it reaches the end.
            if source.read(1):
                raise ValueError(f"{quoted(name)} is longer than its entry declares")
        return data

    if f"{tops[0]}/byteorder" in entries and fetch("byteorder", 6).tobytes() != b"little":
        raise ValueError("its numbers are big-endian")
    length = entries[f"{tops[0]}/data.pkl"].file_size
    if length > MAX_PICKLE_BYTES:
        raise ValueError(f"data.pkl has {length} bytes")
    top = _load(io.BytesIO(fetch("data.pkl").data), length, {})
    return _materialise(top, size, lambda x: fetch(f"data/{x.key}", x.count * x.dtype.itemsize))


def _read_legacy(file, size):
    """Five pickles (magic number, version, machine, object, keys), then one storage per key."""
    storages: dict[str, _Storage] = {}

    def load(storages):
        return _load(file, size - file.tell(), storages)

    load({})
    version = load({})
    if type(version) is not int or version != PROTOCOL:
        raise ValueError("its version of PyTorch's format is unknown")
    machine = load({})
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian")
    top, keys = load(storages), load({})
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise ValueError("it has no list of storages")
    if len(keys) != len(set(keys)) or set(keys) != set(storages):
        raise ValueError("its list of storages is not that of its tensors")
    starts, position = {}, file.tell()
    for key in keys:
        storage = storages[key]
        if storage.dtype is None:
            raise ValueError(f"its storage {quoted(key)} is of a kind that is not read")
        file.seek(position)
        if file.read(8) != storage.count.to_bytes(8, "little"):
            raise ValueError(f"its storage {quoted(key)} has another length than its tensors say")
        starts[key] = position + 8
        position += 8 + storage.count * storage.dtype.itemsize
    if position != size:
        raise ValueError(f"it has {size} bytes in place of {position}")

    def fetch(storage):
        file.seek(starts[storage.key])
        return fill(file, storage.count * storage.dtype.itemsize)

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
            raise ValueError(f"{quoted(key)} is a tensor of a kind that is not read")
        elif not (value is None or value is INERT or type(value) in (bool, int, float, str, bytes)):
            raise ValueError(f"{quoted(key)} is no tensor but a {type(value).__name__}")
    total = 0
    for key, tensor in tensors.items():
        tensor.check(key)
        total += bytes_of(math.prod(tensor.shape), tensor.storage.dtype)
        check_total(total, size)
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    storages, arrays = {}, {}
    for key, tensor in tensors.items():
        name = tensor.storage.key
        if name not in storages:
            storages[name] = fetch(tensor.storage)
        arrays[key] = finish(key, tensor.view(storages[name]))
    return arrays


def _find_state_dict(top) -> dict:
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

    found = find(top, 0)
    if found is None:
        raise ValueError("it holds no state dict: save `model.state_dict()`, not the model")
    return found
