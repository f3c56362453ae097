"""Reads the HDF5 files that Keras writes, without the HDF5 library.

The library crashes or hangs on about one damaged file in a thousand, follows links to other files
and runs filters. Keras uses a small part of the format, always in the same way: version 1 of
groups, texts as attributes, and arrays stored in one piece. This module reads that part and refuses
everything else.
"""

import itertools
import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

import ml_dtypes
import numpy as np

# The most bytes besides the arrays; a layer takes about 4 KB.
MAX_STRUCTURE = 32 << 20
MAX_NAME = 1 << 10
# Version 1, addresses and lengths of 8 bytes, nodes of the usual widths, no user block.
START = b"\x89HDF\r\n\x1a\n" + bytes([0, 0, 0, 0, 0, 8, 8, 0, 4, 0, 16] + [0] * 13) + b"\xff" * 8
# The messages that the header of an object may hold. Filters, links and external files are refused.
NOTHING, SPACE, DTYPE, FILL, LAYOUT, ATTRIBUTE, MORE, GROUP = 0, 1, 3, 5, 8, 12, 16, 17
DTYPES = {
    "11200f0002000000000010000a05000a0f00000000000000": np.dtype("<f2"),
    "11201f000400000000002000170800177f00000000000000": np.dtype("<f4"),
    "11203f000800000000004000340b0034ff03000000000000": np.dtype("<f8"),
    "1500000002000000": np.dtype(ml_dtypes.bfloat16),
}
# The type of a single text of any length, in UTF-8.
TEXT = bytes.fromhex("1901010010000000100000000100000000000800000000000100000000000000")

Header = dict[int, list[bytes]]


def read(file: BinaryIO, size: int) -> Iterator[tuple[str, np.ndarray]]:
    """The weights in an open `.weights.h5` file of `size` bytes, keyed `layer/part/.../index`.

    `layer` is the name of the layer. The states of optimizers and random generators are left out.
    The last check follows the last array.
    """
    source, names = _File(file, size), set()
    top = source.members(source.header(source.root))
    for address in source.members(source.header(top["layers"])).values():
        parts = source.members(source.header(address))
        own = source.header(parts.pop("vars"))
        name = source.text(own, "name")
        if "/" in name or name in names:
            raise ValueError(f"a layer has the name {name!r}, or two have")
        names.add(name)
        yield from _own_arrays(source, own, name)
        yield from _arrays_of_parts(source, parts, name)
    source.check_pieces()


def _own_arrays(source, header, name):
    addresses = source.members(header)
    for index in range(len(addresses)):
        key = f"{name}/{index}"
        yield key, source.array(source.header(addresses[str(index)]), key)


def _arrays_of_parts(source, parts, name):
    for part, address in parts.items():
        if part == "seed_generator":
            continue
        header = source.header(address)
        if part == "vars":
            yield from _own_arrays(source, header, name)
        else:
            yield from _arrays_of_parts(source, source.members(header), f"{name}/{part}")


class _File:
    """An open file. At most its size is read in total, so every loop ends."""

    def __init__(self, file, size):
        self._file, self._size, self._left = file, size, size
        self._structure_left, self._pieces = MAX_STRUCTURE, []
        self._texts: dict[int, dict[int, bytes]] = {}
        end, unused, self.root = self._unpack("<QQ8xQ24x", 0, START)
        if unused != 2**64 - 1 or end != size:
            raise ValueError(f"it has {size} bytes in place of {end}")

    def _go_to(self, address, count):
        """Checks and records a range of bytes before it is read or memory is allocated for it."""
        self._left -= count
        if address > self._size - count or self._left < 0:
            raise ValueError(f"{count} bytes at {address} would reach beyond the file")
        self._pieces.append((address, address + count))
        self._file.seek(address)

    def _take(self, address, count) -> bytes:
        self._structure_left -= count
        if self._structure_left < 0:
            raise ValueError(f"it has more than {MAX_STRUCTURE} bytes that are no weights")
        self._go_to(address, count)
        return self._file.read(count)

    def _unpack(self, layout, address, start):
        """The numbers at `address`, behind the bytes `start`, which must be there."""
        data = self._take(address, len(start) + struct.calcsize(layout))
        if not data.startswith(start):
            raise ValueError(f"what is at byte {address} is not as Keras writes it")
        return struct.unpack_from(layout, data, len(start))

    def check_pieces(self):
        """Refuses a file in which two ranges overlap, since one address must be wrong."""
        for (_, end), (start, _) in itertools.pairwise(sorted(self._pieces)):
            if end > start:
                raise ValueError(f"two parts of it lie at byte {start}")

    def header(self, address: int) -> Header:
        """The messages in the header of a group or an array, by kind."""
        count, length = self._unpack("<HxxxxI4x", address, b"\1\0")
        blocks, found = [(address + 16, length)], []
        for place, size in blocks:
            block = memoryview(self._take(place, size))
            while block and len(found) <= count:
                kind, size, flags = struct.unpack_from("<HHB3x", block)
                content, block = bytes(block[8 : 8 + size]), block[8 + size :]
                # With flag 2, the message is stored elsewhere.
                if len(content) < size or flags > 1:
                    raise ValueError(f"the header at {address} is damaged")
                if kind == MORE:
                    blocks.append(struct.unpack("<QQ", content))
                found.append((kind, content))
        if len(found) != count:
            raise ValueError(f"the header at {address} has {len(found)} parts in place of {count}")
        header = {kind: [] for kind in (SPACE, DTYPE, FILL, LAYOUT, ATTRIBUTE, GROUP)}
        for kind, content in found:
            if kind not in (NOTHING, MORE):
                header[kind].append(content)
        return header

    def members(self, header: Header) -> dict[str, int]:
        """Addresses of the headers of a group's members, by name."""
        [group] = header[GROUP]
        tree, heap = struct.unpack("<QQ", group)
        length, names = self._unpack("<Q8xQ", heap, b"HEAP\0\0\0\0")
        names = self._take(names, length)
        found = {}
        for start, address, kind in self._symbols(tree):
            name = names[start : names.index(b"\0", start, start + MAX_NAME)].decode()
            # Another kind is a link.
            if kind > 1 or name in found or not name or "/" in name:
                raise ValueError(f"a group has the member {name!r}")
            found[name] = address
        return found

    def _symbols(self, node, level=None):
        """The entries of a group below a node of its tree."""
        # A node is read whole; most of its end is unused.
        own_level, count, children = self._unpack("<BH16x520s", node, b"TREE\0")
        if level not in (None, own_level):
            raise ValueError(f"the node at {node} is on the wrong level")
        for child in struct.unpack_from("<" + "8xQ" * count, children):
            if own_level:
                yield from self._symbols(child, own_level - 1)
                continue
            count, symbols = self._unpack("<H320s", child, b"SNOD\1\0")
            if count > 8:
                raise ValueError(f"the node at {child} has {count} members")
            yield from struct.iter_unpack("<QQI20x", symbols[: 40 * count])

    def text(self, header: Header, name: str) -> str:
        """The attribute `name`, a text."""
        key = name.encode() + b"\0"
        start = struct.pack("<BBHHH", 1, 0, len(key), 20, 8) + key.ljust(8, b"\0") + TEXT
        places = [x[len(start) :] for x in header[ATTRIBUTE] if x.startswith(start)]
        if len(places) != 1:
            raise ValueError(f"there is no {name!r} with a layer or an array, as of Keras 3.15")
        length, address, index = struct.unpack("<IQI", places[0])
        if address not in self._texts:
            [size] = self._unpack("<Q", address, b"GCOL\1\0\0\0")
            self._texts[address] = dict(_texts(memoryview(self._take(address + 16, size - 16))))
        text = self._texts[address][index]
        if len(text) != length:
            raise ValueError(f"a text has {len(text)} bytes in place of {length}")
        return text.decode()

    def array(self, header: Header, key: str) -> np.ndarray:
        """The numbers of an array, all of them finite."""
        [space], [dtype], [layout] = header[SPACE], header[DTYPE], header[LAYOUT]
        dtype = DTYPES.get(dtype.hex())
        if dtype is None:
            raise ValueError(f"{key!r} is of a type that no weight has")
        if dtype == ml_dtypes.bfloat16 and self.text(header, "dtype") != "bfloat16":
            raise ValueError(f"{key!r} has numbers of two bytes that are not called bfloat16")
        version, rank = space[:2]
        shape = struct.unpack_from(f"<{rank}Q", space, 8)
        one_piece, address, size = struct.unpack("<HQQ6x", layout)
        if (version, one_piece) != (1, 0x103) or size != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{key!r} of shape {shape} is not stored in one piece")
        if size:
            self._go_to(address, size)
        array = np.fromfile(self._file, dtype, math.prod(shape)).reshape(shape)
        if not np.isfinite(array).all():
            raise ValueError(f"{key!r} holds NaN or infinity")
        return array


def _texts(collection):
    """`(number, content)` of each text in a collection."""
    while len(collection) >= 16:
        index, size = struct.unpack_from("<H6xQ", collection)
        # Index 0 is the free space at the end.
        if not index:
            return
        yield index, bytes(collection[16 : 16 + size])
        collection = collection[16 + size + -size % 8 :]
