"""Foreign checkpoints: what is read from them, and that a hostile one does no harm."""

import argparse
import collections
import contextlib
import hashlib
import io
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy as safetensors_numpy
from cases import BACKEND, MODEL_CASES

from keras_shiftmlp.checkpoints import containers
from keras_shiftmlp.checkpoints.containers import _common, archive, keras_h5
from keras_shiftmlp.checkpoints.find import published_file
from keras_shiftmlp.checkpoints.port import WeightFile

# The readers know no backend, so one of them is enough.
pytestmark = pytest.mark.skipif(BACKEND != "numpy", reason="runs once, on NumPy")

MUTANTS = 2000
SECONDS = 40
MEGABYTES = 300
STATUS = Path("/proc/self/status")
RNG = np.random.default_rng(0)
ARRAYS = {
    "Mixer_0/Dense_0/kernel": RNG.normal(size=(7, 5)).astype("float32"),
    "Mixer_0/Dense_0/bias": RNG.normal(size=5).astype("float64"),
    "half": RNG.normal(size=(2, 3, 4)).astype("float16"),
    "fortran": np.asfortranarray(RNG.normal(size=(4, 6)).astype("float32")),
    "steps": np.array(12, "int64"),
    "mask": np.array([True, False, True]),
    "empty": np.zeros((0, 3), "float32"),
}


class CfgNode(dict):
    """As yacs has it: a mapping of another class, with a state of its own."""

    def __init__(self):
        super().__init__({"LR": 0.1, "NAME": "mixer"})
        self.__dict__["frozen"] = {"a": 1}


def as_read(array):
    """What an array that was written is to come back as."""
    is_float = array.dtype.kind == "f" or array.dtype == ml_dtypes.bfloat16
    return array.astype("float32") if is_float else array


def assert_same(arrays, expected):
    assert list(arrays) == list(expected)
    for key, array in expected.items():
        assert arrays[key].dtype == as_read(array).dtype and arrays[key].dtype.isnative
        np.testing.assert_array_equal(arrays[key], as_read(array), strict=True)


def peak():
    """The most memory that this process had at once, in bytes, since it was last set back.

    `resource.getrusage` will not do: there a child starts with the peak of its parent.
    """
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", STATUS.read_text())[1])


def refused(path, content=None, match=None):
    """Asserts that the file is refused, with its path in the message."""
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=match) as caught:
        containers.read(path)
    assert "Received: `path=" in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------
# Files


def npz(arrays, save=np.savez):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(members, compression=zipfile.ZIP_STORED):
    """A zip file of `members`, pairs of names and contents, with right checksums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def unzipped(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def with_header(header, data=b""):
    """A .safetensors file with any header."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


def torch_file(value, legacy=False, **kwargs):
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy, **kwargs)
    return buffer.getvalue()


def checkpoint():
    """What a training script leaves behind: weights, optimizer, epoch and its arguments."""
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(3, 5)).sum().backward()
    optimizer.step()
    return {
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, path=Path("x"), sizes={1, 2}),
        "config": CfgNode(),
        "score": np.float64(81.2),
        "history": np.arange(3),
        "model": model.state_dict(),
    }


def torch_pickle(tensors, protocol=2):
    """A data.pkl of `{key: (storage type, storage, count, offset, shape, strides)}`, any of them
    false; a value of another kind is pickled as it is.
    """
    import torch

    class Tensor:
        def __init__(self, kind, key, count, *where):
            self.storage, self.where = Storage(), where
            self.storage.id = ("storage", getattr(torch, kind), key, "cpu", count)

        def __reduce__(self):
            arguments = (self.storage, *self.where, False, collections.OrderedDict())
            return torch._utils._rebuild_tensor_v2, arguments

    class Storage:
        pass

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.id if isinstance(value, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, protocol).dump(
        {key: Tensor(*x) if isinstance(x, tuple) else x for key, x in tensors.items()}
    )
    return buffer.getvalue()


def torch_zip(data_pkl, records=(), extra=()):
    members = [("archive/data.pkl", data_pkl), ("archive/byteorder", b"little"), *extra]
    return zipped(members + [(f"archive/data/{key}", value) for key, value in records])


def h5(arrays, change=None, **kwargs):
    """A file as Keras writes it, of arrays keyed `layer/part/index`, after a `change` of it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **kwargs) as file:
        for key, array in arrays.items():
            layer, *parts, index = key.split("/")
            own = file.require_group(f"layers/of_{layer}/vars")
            own.attrs["name"] = layer
            group = file.require_group("/".join(["layers", f"of_{layer}", *parts, "vars"]))
            group[index] = array
            if array.dtype == ml_dtypes.bfloat16:
                group[index].attrs["dtype"] = "bfloat16"
        file.require_group("layers/empty/vars").attrs["name"] = "empty"
        file["layers/of_dense/vars/seed_generator"] = np.ones(2, "int64")
        del file["layers/of_dense/vars/seed_generator"]
        file["layers/of_dense/seed_generator/vars/0"] = np.ones(2, "uint32")
        file["optimizer/vars/0"] = np.array(12, "int64")
        if change is not None:
            change(file, file["layers/of_dense/vars"])
    return buffer.getvalue()


H5_ARRAYS = {
    "dense/0": RNG.normal(size=(7, 5)).astype("float32"),
    "dense/1": RNG.normal(size=5).astype("float32"),
    "block/fc1/0": RNG.normal(size=(2, 3, 4)).astype("float64"),
    "block/fc1/inner/0": RNG.normal(size=(5, 1)).astype("float16"),
    "half/0": RNG.normal(size=(3, 2)).astype(ml_dtypes.bfloat16),
    "scalar/0": np.array(2.5, "float32"),
    "none/0": np.zeros((0, 3), "float32"),
    **{f"many/{i}": np.full(2, i, "float32") for i in range(30)},
    **{f"layer_{i}/0": np.full(1, i, "float32") for i in range(150)},
}


@pytest.fixture
def path(tmp_path):
    # The name says nothing about the format, and is not to.
    return tmp_path / "weights.bin"


# ---------------------------------------------------------------------------------------------
# What is read


def test_npz(path):
    path.write_bytes(npz(ARRAYS))
    assert containers.container(path) == "npz" and containers.load(path).metadata == {}
    assert_same(containers.read(path), ARRAYS)
    assert_same(containers.read(str(path)), ARRAYS)


def test_compressed_npz(path):
    # Fresh layers are all zeros, which compress a thousandfold.
    arrays = {**ARRAYS, "zeros": np.zeros((1000, 1000), "float32")}
    path.write_bytes(npz(arrays, np.savez_compressed))
    assert_same(containers.read(path), arrays)


def test_big_endian_npz(path):
    arrays = {"a": np.arange(6, dtype=">f4").reshape(2, 3), "b": np.arange(3, dtype=">i8")}
    path.write_bytes(npz(arrays))
    assert_same(
        containers.read(path), {"a": arrays["a"].astype("f4"), "b": arrays["b"].astype("i8")}
    )


def test_safetensors(path):
    arrays = {key: np.ascontiguousarray(array) for key, array in ARRAYS.items()}
    arrays["bfloat16"] = RNG.normal(size=(3, 2)).astype(ml_dtypes.bfloat16)
    path.write_bytes(safetensors_numpy.save(arrays, metadata={"format": "pt"}))
    assert containers.container(path) == "safetensors"
    assert containers.load(path).metadata == {"format": "pt"}
    assert_same(dict(sorted(containers.read(path).items())), dict(sorted(arrays.items())))


def test_a_header_whose_length_looks_like_html(path):
    header = json.dumps({"a": entry()}, separators=(",", ":")).encode().ljust(ord("<"))
    path.write_bytes(with_header(header, bytes(4)))
    assert path.read_bytes().startswith(b"<")
    assert_same(containers.read(path), {"a": np.zeros(1, "float32")})


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch(torch, path, legacy):
    big = torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
    tensors = {
        "transposed": big.T,
        "sliced": big[1:5:2, ::3],
        "same": big,
        "row": big[2],
        "scalar": torch.tensor(2.5),
        "one": big[:1, 3:4],
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "half": big.half(),
        "bfloat16": big.bfloat16(),
        "double": big.double(),
        "steps": torch.tensor(7),
        **{kind: torch.arange(3).to(getattr(torch, kind)) for kind in ("int32", "int16", "int8")},
        "bytes": torch.arange(256).byte(),
        "mask": torch.tensor([True, False]),
    }
    path.write_bytes(torch_file(tensors, legacy))
    assert containers.container(path) == "torch"
    loaded = torch.load(path)
    loaded["bfloat16"] = loaded["bfloat16"].float()
    assert_same(containers.read(path), {key: x.detach().numpy() for key, x in loaded.items()})


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_training_checkpoint(torch, path, legacy):
    path.write_bytes(torch_file(checkpoint(), legacy))
    expected = torch.load(path, weights_only=False)["model"]
    assert_same(containers.read(path), {key: x.numpy() for key, x in expected.items()})


def test_only_the_state_dict_is_read(torch, path, monkeypatch):
    content = checkpoint()
    path.write_bytes(torch_file(content))
    asked = []
    fill = archive.fill
    monkeypatch.setattr(archive, "fill", lambda x, n: asked.append(n) or fill(x, n))
    containers.read(path)
    # The numbers, then data.pkl and the byte order; AdamW's moments would be twice as much.
    assert len(asked) == len(content["model"]) + 2


def test_shared_storage_is_read_once(torch, path):
    big = torch.arange(12.0).reshape(3, 4)
    path.write_bytes(torch_file({"a": big, "b": big[1], "c": big.T}))
    arrays = containers.read(path)
    assert np.shares_memory(arrays["a"], arrays["b"])
    assert arrays["c"].flags.c_contiguous


def test_where_the_state_dict_is(torch, path):
    plain, averaged = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    for content, expected in [
        ({"state_dict_ema": averaged, "state_dict": plain}, 0),
        ({"model_ema": averaged, "model": plain}, 0),
        ({"model_ema": averaged, "epoch": 1}, 1),
        ({"state_dict": {"model": {"module": averaged}}}, 1),
        ({"model": {"name": "mixer"}, "state_dict": averaged}, 1),
        ({"model": "mixer", **averaged}, 1),
        ({"module.w": averaged["w"], "epoch": 3, "args": CfgNode(), "best": 0.5}, 1),
    ]:
        path.write_bytes(torch_file(content))
        arrays = containers.read(path)
        assert arrays.keys() == {"w"} and arrays["w"].tolist() == [expected]
    path.write_bytes(torch_file({"module.w": plain["w"], "head": averaged["w"]}))
    assert containers.read(path).keys() == {"module.w", "head"}


def test_torch_is_not_needed(torch, path):
    path.write_bytes(torch_file(checkpoint()))
    code = (
        "import sys\n"
        "from keras_shiftmlp.checkpoints import containers\n"
        "assert len(containers.read(sys.argv[1])) == 7\n"
        "assert not {'torch', 'tensorflow', 'jax', 'yacs'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_long_texts_and_bytes_are_passed_over(torch, path):
    config = {"text": "é" * 100_000, "bytes": bytes(100_000), "array": bytearray(100_000)}
    content = {"config": config, "model": {"w": torch.ones(2), "note": "x" * 70_000}}
    path.write_bytes(torch_file(content))
    assert_same(containers.read(path), {"w": np.ones(2, "float32")})


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_other_protocols_are_refused(torch, path, protocol):
    content = {"w": torch.ones(2)}
    refused(path, torch_file(content, pickle_protocol=protocol), f"protocol {protocol}")
    refused(path, torch_file(content, True, pickle_protocol=protocol), "format is unknown")


def test_h5(path):
    path.write_bytes(h5(H5_ARRAYS))
    assert containers.container(path) == "h5"
    arrays = containers.read(path)
    assert arrays.keys() == H5_ARRAYS.keys()
    for key, expected in H5_ARRAYS.items():
        assert arrays[key].dtype == expected.dtype
        np.testing.assert_array_equal(arrays[key], expected, strict=True)
    assert [key for key in arrays if key.startswith("many")] == [f"many/{i}" for i in range(30)]


@pytest.mark.parametrize("case", MODEL_CASES.values(), ids=MODEL_CASES)
def test_h5_of_a_compiled_model(path, case):
    """As the HDF5 library itself reads it."""
    model = case.build(dropout_rate=0.1, dtype="mixed_bfloat16")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(path.with_suffix(".weights.h5"))
    arrays, expected = containers.read(path.with_suffix(".weights.h5")), {}
    with h5py.File(path.with_suffix(".weights.h5")) as file:
        for group in file["layers"].values():
            name = group["vars"].attrs["name"]
            group.visititems(
                lambda key, item, name=name: (
                    expected.update({f"{name}/{key.replace('vars/', '')}": item[()]})
                    if isinstance(item, h5py.Dataset) and "seed_generator" not in key
                    else None
                )
            )
    assert len(expected) == len(model.get_weights())
    assert sorted(arrays) == sorted(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(arrays[key], array, strict=True)


# ---------------------------------------------------------------------------------------------
# What is refused


def test_other_files(path):
    for page in (b"<!DOCTYPE html><html>", b" \n\t<html>", b"\xef\xbb\xbf\r\n<?xml"):
        path.write_bytes(page)
        with pytest.raises(ValueError, match="web page"):
            containers.container(path)
    for content in (b"", b"PK", b"\x80", b"\x80\2}.", b"text", bytes(100), b"{" * 20):
        refused(path, content)
    refused(path, zipped([("config.json", b"{}")]), "neither an .npz nor")
    refused(path, zipped([]), "neither an .npz nor")
    refused(path, pickle.dumps({"a": 1}), "unknown")


def test_bad_paths(tmp_path):
    with pytest.raises(FileNotFoundError):
        containers.read(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        containers.read(tmp_path)
    for path in (3, None, b"\0", "\0", ["a"]):
        with pytest.raises(ValueError, match="Received"):
            containers.container(path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        refused(tmp_path / "pipe", match="no regular file")


def replaced(file, group, *args, **kwargs):
    del group["0"]
    return group.create_dataset("0", *args, **kwargs)


def linked(link):
    def change(file, group):
        del group["0"]
        group["0"] = link(file)

    return change


def virtual(file, group):
    layout = h5py.VirtualLayout((7, 5), "f4")
    layout[:] = h5py.VirtualSource(OUTSIDE, "0", (7, 5))
    del group["0"]
    group.create_virtual_dataset("0", layout)


def attribute(**values):
    def change(file, group):
        del group.attrs["name"]
        for key, value in values.items():
            group.attrs[key] = value

    return change


def renamed(old, new):
    return lambda file, group: file.move(old, new)


SEVEN = np.ones((7, 5), "float32")
OUTSIDE = "outside.h5"
# What Keras never writes: links, numbers that are elsewhere, filters, and what is no weight.
FOREIGN_H5 = {
    "soft link": linked(lambda file: h5py.SoftLink("/layers")),
    "external link": linked(lambda file: h5py.ExternalLink(OUTSIDE, "0")),
    "hard link": linked(lambda file: next(iter(file["layers"].values()))),
    "loop": lambda file, group: group.parent.__setitem__("again", file["layers"]),
    "loop of a layer": lambda file, group: group.parent.__setitem__("again", group.parent),
    "virtual": virtual,
    "external file": lambda f, g: replaced(f, g, (7, 5), "f4", external=[("outside", 0, 140)]),
    "gzip": lambda f, g: replaced(f, g, data=SEVEN, compression="gzip"),
    "lzf": lambda f, g: replaced(f, g, data=SEVEN, compression="lzf"),
    "shuffle": lambda f, g: replaced(f, g, data=SEVEN, shuffle=True),
    "checksum": lambda f, g: replaced(f, g, data=SEVEN, fletcher32=True),
    "chunks": lambda f, g: replaced(f, g, data=SEVEN, chunks=True),
    "bomb": lambda f, g: replaced(f, g, (2**20, 2**20), "f4", compression="gzip"),
    "nothing stored": lambda f, g: replaced(f, g, (2**20, 2**20), "f4"),
    "no shape": lambda f, g: replaced(f, g, data=h5py.Empty("f4")),
    "integers": lambda f, g: replaced(f, g, data=SEVEN.astype("int32")),
    "big-endian": lambda f, g: replaced(f, g, data=SEVEN.astype(">f4")),
    "complex": lambda f, g: replaced(f, g, data=SEVEN.astype("complex64")),
    "booleans": lambda f, g: replaced(f, g, data=SEVEN.astype(bool)),
    "records": lambda f, g: replaced(f, g, data=np.zeros((7, 5), "f4,f4")),
    "texts": lambda f, g: replaced(f, g, data=["a", "b"]),
    "bytes": lambda f, g: replaced(f, g, data=SEVEN.view("V4")),
    "two bytes": lambda f, g: replaced(f, g, data=SEVEN.astype("f2").view("V2")),
    "reference": lambda f, g: replaced(f, g, (7, 5), h5py.ref_dtype),
    "region": lambda f, g: replaced(f, g, (7, 5), h5py.regionref_dtype),
    "lists": lambda f, g: replaced(f, g, (7, 5), h5py.vlen_dtype("f4")),
    "group": lambda f, g: (g.__delitem__("0"), g.create_group("0")),
    "NaN": lambda f, g: g["0"].__setitem__(..., np.nan),
    "infinity": lambda f, g: g["0"].__setitem__(0, -np.inf),
    "no name": attribute(),
    "number for a name": attribute(name=3),
    "bytes for a name": attribute(name=np.bytes_("dense")),
    "texts for a name": attribute(name=["dense", "dense"]),
    "another's name": attribute(name="block"),
    "a path for a name": attribute(name="block/fc1"),
    "no layers": renamed("layers", "layer"),
    "no vars": renamed("layers/of_dense/vars", "layers/of_dense/var"),
    "no first": renamed("layers/of_dense/vars/0", "layers/of_dense/vars/2"),
    "long name": renamed("layers/of_dense/vars/0", "layers/of_dense/vars/" + "0" * 5000),
    "layers is an array": lambda f, g: (f.__delitem__("layers"), f.__setitem__("layers", SEVEN)),
}


@pytest.mark.parametrize("name", FOREIGN_H5)
def test_h5_that_keras_does_not_write(path, name, monkeypatch):
    monkeypatch.chdir(path.parent)
    with h5py.File(OUTSIDE, "w") as file:
        file["0"] = SEVEN
    Path("outside").write_bytes(SEVEN.tobytes())
    refused(path, h5(H5_ARRAYS, FOREIGN_H5[name]))


def test_h5_of_other_versions(path):
    for kwargs in ({"libver": "latest"}, {"userblock_size": 512}, {"track_order": True}):
        refused(path, h5(H5_ARRAYS, **kwargs))


def test_h5_that_is_cut_or_shares_places(path, monkeypatch):
    content = h5(H5_ARRAYS)
    for changed in (content[:-1], content + b"\0", content[: len(content) // 2]):
        refused(path, changed, "bytes in place of")
    # The address of one array in place of another's of the same size.
    with h5py.File(io.BytesIO(content)) as file:
        first, second = (
            struct.pack("<Q", file[f"layers/of_many/vars/{i}"].id.get_offset()) for i in (1, 2)
        )
    assert content.count(first) == 1
    refused(path, content.replace(first, second), "two parts")
    monkeypatch.setattr(keras_h5, "MAX_STRUCTURE", 10_000)
    refused(path, content, "no weights")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ml_dtypes.bfloat16])
def test_numbers_that_are_not_finite(path, value, dtype):
    arrays = {"ok": np.ones(3, "float32"), "the/bad": np.array([[1, value]], dtype)}
    refused(path, safetensors_numpy.save(arrays), "'the/bad' holds NaN")
    if dtype != ml_dtypes.bfloat16:
        refused(path, npz(arrays), "'the/bad' holds NaN")


def test_numbers_that_float32_cannot_hold(path):
    refused(path, npz({"a": np.array([1e300])}), "more than float32 can")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_numbers_that_are_not_finite(torch, path, legacy):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        tensors = {"ok": torch.ones(3), "bad": torch.tensor([1, float("nan")], dtype=dtype)}
        refused(path, torch_file(tensors, legacy), "'bad' holds NaN")


def test_npz_dtypes(path):
    for array in (
        np.array(["a"]),
        np.array([b"a"]),
        np.array([None]),
        np.ones(1, "complex64"),
        np.ones(1, "longdouble"),
        np.ones(1, "f4,i4"),
        np.ones(1, "M8[s]"),
        np.ones(1, ml_dtypes.bfloat16).view("V2"),
    ):
        refused(path, npz({"a": array}))
    refused(path, zipped([("a.npy", npy(np.array([True]))[:-1] + b"\2")]), "neither 0 nor 1")


def test_npz_names(path):
    for name in ("/a.npy", "../a.npy", "a/../b.npy", "a\\b.npy", "C:/a.npy", "a//b.npy", "./a.npy"):
        refused(path, zipped([(name, npy(np.ones(1)))]), "entry with the path")
    for name in ("a.txt", ".npy", "a/.npy", "a"):
        refused(path, zipped([("ok.npy", npy(np.ones(1))), (name, npy(np.ones(1)))]), "is no array")
    content = npz({"aa": np.ones(1), "ab": np.ones(1)})
    refused(path, content.replace(b"ab.npy", b"aa.npy"), "two entries")
    refused(path, content.replace(b"ab.npy", b"a\0.npy"), "entry with the path")


def test_npz_shapes(path):
    content = npy(np.ones((2, 3), "float32"))
    for shape in ("(2, 4)", "(9" + "9" * 20 + ",)", "(2, -3)", "(-2, -3)", "(2.0, 3)", "2", "'ab'"):
        header = content.replace(b"(2, 3), }" + b" " * 40, f"{shape}, }}".encode().ljust(49))
        refused(path, zipped([("a.npy", header)]))
    refused(path, zipped([("a.npy", content[:-1])]), "another size")
    refused(path, zipped([("a.npy", content + b"\0")]), "another size")
    refused(path, zipped([("a.npy", content.replace(b"<f4", b"|O4"))]))
    refused(path, zipped([("a.npy", content[:6] + b"\3" + content[7:])]))
    refused(path, zipped([("a.npy", content.replace(b"(2, 3), }", b"(((((((((", 1))]))


def test_zip_checksum_and_methods(path):
    content = bytearray(npz({"a": np.ones(100, "float32")}))
    content[300] ^= 1
    refused(path, bytes(content), "CRC")
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(path, zipped([("a.npy", npy(np.ones(9)))], method), "unusual")


def test_zip_bombs(path, torch):
    bomb = npy(np.zeros(30 << 20, "u1"))
    refused(path, zipped([("a.npy", bomb)], zipfile.ZIP_DEFLATED), "declare")
    records = [("archive/data.pkl", b"\x80\2}."), ("archive/data/0", bytes(30 << 20))]
    refused(path, zipped(records, zipfile.ZIP_DEFLATED), "declare")
    # Two directory entries that share their data.
    content = zipped([("a.npy", npy(np.ones(5000))), ("b.npy", b"x")])
    start = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", start + 1)
    first = content[start:second]
    tail = content[content.index(b"PK\5\6") :]
    overlap = content[:start] + first + first.replace(b"a.npy", b"b.npy") + tail
    refused(path, overlap)
    # Half of the arrays would be more than is allowed, though the file is honest.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_common, "MAX_BYTES", 1000)
        refused(path, npz({"a": np.ones(200)}), "declare")
        refused(path, safetensors_numpy.save({"a": np.ones(200)}), "declare")
        refused(path, torch_file({"a": torch.ones(200, dtype=torch.double)}, True), "declare")


def test_zip_directory_of_another_size(path):
    content = bytearray(npz(ARRAYS))
    end = content.index(b"PK\5\6")
    content[end + 12 : end + 16] = struct.pack("<I", 0xFFFFFFF0)
    refused(path, bytes(content))
    refused(path, zipped([(f"{i}{'x' * 200}.npy", b"") for i in range(20000)]), "directory")


def test_safetensors_headers(path):
    for header, data in [
        ({"a": entry(shape=[2])}, bytes(4)),
        ({"a": entry(offsets=[0, 8])}, bytes(4)),
        ({"a": entry(offsets=[4, 8])}, bytes(8)),
        ({"a": entry(shape=[2**62, 4])}, bytes(4)),
        ({"a": entry(shape=[0, 2**62], offsets=[0, 0])}, b""),
        ({"a": entry(shape=[1] * 70)}, bytes(4)),
        ({"a": entry(shape=[-1])}, bytes(4)),
        ({"a": entry("F99")}, bytes(4)),
        ({"a": entry("C64", offsets=[0, 8])}, bytes(8)),
        ({"a": entry("F8_E4M3", offsets=[0, 1])}, bytes(1)),
        ({"a": entry(), "b": entry()}, bytes(4)),
        ({"a": entry()}, bytes(5)),
        ({"a": 1}, b""),
        ({"a": entry("BOOL", offsets=[0, 1])}, b"\2"),
        (b'{"a":' + b"[" * 100000, b""),
        (b'{"\xff": 1}', b""),
    ]:
        refused(path, with_header(header, data))
    for length in (2**64 - 1, 2**63, 100_000_001, 40):
        refused(path, struct.pack("<Q", length) + b'{"a": 1}')
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 100_000_001) + b"{")
        file.truncate(100_000_100)
    refused(path, match="header too large")


def test_tensors_that_reach_beyond_their_storage(torch, path):
    good = ("FloatStorage", "0", 4, 0, (2, 2), (2, 1))
    record = [("0", struct.pack("<4f", 1, 2, 3, 4))]
    path.write_bytes(torch_zip(torch_pickle({"w": good}), record))
    assert containers.read(path)["w"].tolist() == [[1, 2], [3, 4]]
    for index, value in [
        (2, 3),
        (2, 5),
        (2, -4),
        (2, 2**60),
        (2, "4"),
        (3, 1),
        (3, 4),
        (3, -1),
        (3, 1.0),
        (3, True),
        (4, (2, 3)),
        (4, (2,)),
        (4, (4, 4)),
        (4, (2, -2)),
        (4, (2**40, 2**40)),
        (4, [2, 2]),
        (4, None),
        (5, (3, 1)),
        (5, (2, 2)),
        (5, (-2, 1)),
        (5, (2**62, 1)),
        (1, "1"),
        (1, "../0"),
        (1, 0),
        (0, "DoubleStorage"),
        (0, "HalfStorage"),
        (0, "ComplexFloatStorage"),
        (0, "device"),
    ]:
        bad = (*good[:index], value, *good[index + 1 :])
        refused(path, torch_zip(torch_pickle({"w": bad}), record))
    # A number that is spread over a million would be a bomb.
    refused(path, torch_zip(torch_pickle({"w": (*good[:4], (10**6,), (0,))}), record), "larger")
    refused(path, torch_zip(torch_pickle({"w": good, "v": ("IntStorage", *good[1:])}), record))
    refused(path, torch_zip(torch_pickle({"w": (*good[:4], (1,) * 40, (1,) * 40)}), record))


def test_tensors_that_copy_one_storage_many_times(torch, path):
    # Each is a transposed view of the same megabyte.
    tensors = {f"w{i}": ("FloatStorage", "0", 1 << 18, 0, (512, 512), (1, 512)) for i in range(90)}
    refused(path, torch_zip(torch_pickle(tensors), [("0", bytes(1 << 20))]), "declare")


def test_state_dicts_with_something_else(torch, path):
    weight = torch.ones(2)
    for other in ([weight], (1,), {"w": weight}):
        refused(path, torch_file({"w": weight, "other": other}), "'other' is no tensor")
    refused(path, torch_file({"w": weight, 3: weight}), "no names")
    refused(path, torch_file({"w": weight, "s": weight.to_sparse()}), "not read")
    refused(path, torch_file({"w": weight, "s": torch.ones(2, dtype=torch.uint16)}), "not read")
    refused(path, torch_file({"w": torch.ones(2, dtype=torch.complex64)}), "not read")
    for content in ({}, {"model": {}}, [weight], weight, 3, torch.nn.Linear(2, 2)):
        refused(path, torch_file(content), "no state dict")
    loop = {"epoch": 3}
    loop["model"] = loop
    refused(path, torch_file(loop), "no state dict")


def test_torch_zip_layouts(torch, path):
    data_pkl = torch_pickle({"w": ("FloatStorage", "0", 1, 0, (1,), (1,))})
    files = [("t/data.pkl", data_pkl), ("t/data/0", bytes(4))]
    path.write_bytes(zipped(files))
    assert_same(containers.read(path), {"w": np.zeros(1, "float32")})
    path.write_bytes(zipped(files, zipfile.ZIP_DEFLATED))
    assert_same(containers.read(path), {"w": np.zeros(1, "float32")})
    for extra, match in [
        (("t/byteorder", b"big"), "in place of 6|big-endian"),
        (("t/byteorder", b"BIGBIG"), "big-endian"),
        (("u/data.pkl", data_pkl), "2 entries"),
        (("../x", b""), "path"),
        (("/etc/x", b""), "path"),
        (("t\\x", b""), "path"),
    ]:
        refused(path, zipped([*files, extra]), match)
    refused(path, zipped([("t/x/data.pkl", data_pkl)]), "0 entries")
    refused(path, zipped(files[:1]), "no item")


def test_legacy_layouts(torch, path):
    content = torch_file({"w": torch.ones(3), "v": torch.zeros(2)}, legacy=True)
    refused(path, content + b"\0", "bytes in place of")
    refused(path, content[:-1], "bytes in place of")
    refused(path, content.replace(b"\x8a\nl", b"\x8a\nm"), "unknown")
    refused(path, content.replace(b"M\xe9\3.", b"M\xea\3."), "version")
    big = content.replace(b"X\r\0\0\0little_endianq\2\x88", b"X\r\0\0\0little_endianq\2\x89")
    assert big != content
    refused(path, big, "big-endian")
    refused(path, content.replace(struct.pack("<Q", 3), struct.pack("<Q", 2)), "another length")
    # The list of keys, less one.
    keys = content.rindex(b"\x80\2]")
    data = content[keys:][content[keys:].index(b".") + 1 :]
    refused(path, content[:keys] + b"\x80\2]." + data, "list of storages")


# Python's hash of an integer is its remainder by 2**61 - 1.
COLLIDING = b"".join(
    b"\x8a\x0c" + (k * (2**61 - 1)).to_bytes(12, "little") + b"N" for k in range(100_000)
)
MANY = b"ccollections\nOrderedDict\nh\2\x85R0" * 50_000
# Each would harm Python's own unpickler, or a reader that trusts it: they call what they name,
# allocate what they announce, or take forever to hash.
PICKLES = {
    "memo index": b"\x80\2}r\xff\xff\xff\x7f.",
    "bytes of 2**60": b"\x80\4\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "text of 2**60": b"\x80\4\x8d" + struct.pack("<Q", 1 << 60) + b".",
    "text of 2**31": b"\x80\2X" + struct.pack("<I", (1 << 31) - 1) + b".",
    "bytearray of 2**62": b"\x80\5\x96" + struct.pack("<Q", 1 << 62) + b".",
    "integer of 2**31": b"\x80\2\x8b" + struct.pack("<i", (1 << 31) - 1) + b".",
    "integer of -1": b"\x80\2\x8b" + struct.pack("<i", -1) + b".",
    "frame of 2**63": b"\x80\4\x95" + struct.pack("<Q", 1 << 63) + b".",
    "persistent name": b"\x80\2Pstorage\n.",
    "instance": b"\x80\2(ios\nsystem\n.",
    "object": b"\x80\2(cos\nsystem\nX\1\0\0\0ao.",
    "extension": b"\x80\2\x82\1.",
    "extension of 4": b"\x80\2\x84\xff\xff\xff\x7f.",
    "next buffer": b"\x80\5\x97.",
    "read-only buffer": b"\x80\5N\x98.",
    "text integer": b"\x80\2I" + b"9" * 10000 + b"\n.",
    "empty": b"",
    "no stop": b"\x80\2}",
    "nothing there": b"\x80\2.",
    "no mark": b"\x80\2t.",
    "no memo": b"\x80\2h\5.",
    "name without end": b"\x80\2c" + b"a" * 10000,
    "nested tuple as key": b"\x80\2})" + b"2\x86" * 200 + b"Ns.",
    "deep tuple as key": b"\x80\2})" + b"\x85" * 300_000 + b"Ns.",
    "deep list": b"\x80\2" + b"]" * 300_000 + b"a" * 299_999 + b".",
    "deep mappings": b"\x80\2" + b"}X\5\0\0\0model" * 150_000 + b"N" + b"s" * 150_000 + b".",
    "colliding keys": b"\x80\2}(" + COLLIDING + b"u.",
    "too many steps": b"\x80\2" + b"}" * 3_000_000 + b".",
    "mapping built many times": b"\x80\2](NNeq\1](" + b"h\1" * 300_000 + b"eq\2" + MANY + b".",
}


@pytest.mark.parametrize("name", PICKLES)
def test_hostile_pickles(path, name):
    start = time.perf_counter()
    refused(path, torch_zip(PICKLES[name]))
    magic = b"\x80\2\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    machine = pickle.dumps({"little_endian": True}, 2)
    refused(path, magic + b"\x80\2M\xe9\3." + machine + PICKLES[name] + b"\x80\2].")
    assert time.perf_counter() - start < 20


@pytest.mark.skipif(not STATUS.exists(), reason="Linux tells the peak")
def test_nothing_hostile_takes_memory(tmp_path):
    for index, name in enumerate(PICKLES):
        (tmp_path / f"{index}.pth").write_bytes(torch_zip(PICKLES[name]))
    header = np.lib.format.magic(1, 0) + struct.pack("<H", 70)
    header += (
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 9)}".ljust(69) + b"\n"
    )
    (tmp_path / "shape.npz").write_bytes(zipped([("a.npy", header)]))
    content = bytearray(zipped([("a.npy", header + bytes(100))]))
    # Both sizes in the directory: four gigabytes, and the shape would be right.
    end = content.index(b"PK\1\2")
    content[end + 20 : end + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    (tmp_path / "size.npz").write_bytes(content)
    bomb = npy(np.zeros(400 << 20, "u1"))
    (tmp_path / "bomb.npz").write_bytes(zipped([("a.npy", bomb)], zipfile.ZIP_DEFLATED))
    # A header that is a bomb: of half a gigabyte, which the directory calls a megabyte.
    head = np.lib.format.magic(2, 0) + struct.pack("<I", 1 << 29)
    content = bytearray(zipped([("a.npy", head + bytes(1 << 29))], zipfile.ZIP_DEFLATED))
    end = content.index(b"PK\1\2")
    content[end + 24 : end + 28] = struct.pack("<I", 1 << 20)
    (tmp_path / "header.npz").write_bytes(content)
    huge = {"a": entry(shape=[2**30], offsets=[0, 2**32])}
    (tmp_path / "a.safetensors").write_bytes(with_header(huge, bytes(100)))
    for name in ("bomb", "nothing stored"):
        content = h5(H5_ARRAYS, FOREIGN_H5[name])
        (tmp_path / f"{name}.h5").write_bytes(content)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from test_readers import containers, peak\n"
        "before = peak()\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "    try:\n"
        "        containers.read(path)\n"
        "    except ValueError:\n"
        "        continue\n"
        "    raise SystemExit(f'{path} was read')\n"
        "print(peak() - before)\n"
    )
    command = [sys.executable, "-c", code, tmp_path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert int(output) < MEGABYTES << 20


class Call:
    """Pickled as a call of `function`, in each of the ways that a pickle has for that."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments, state)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_nothing_is_executed(torch, path, tmp_path, legacy):
    canary = tmp_path / "canary"
    code = f"open({str(canary)!r}, 'w').close()"
    calls = [
        Call(os.system, f"touch {canary}"),
        Call(eval, code),
        Call(exec, code),
        Call(open, str(canary), "w"),
        Call(subprocess.getoutput, f"touch {canary}"),
        Call(argparse.Namespace, state={"a": Call(eval, code)}),
        Call(torch.load, str(canary)),
        Call(collections.OrderedDict, state=Call(exec, code)),
        Call(getattr, Call(__import__, "os"), "system"),
    ]
    weights = {"w": torch.ones(2)}
    for call in calls:
        for content in (
            {"model": weights, "hook": call},
            {"hook": call, "list": [call], "tuple": (call,), "model": weights},
            {**weights, "hook": call} if call is not calls[-2] else weights,
        ):
            path.write_bytes(torch_file(content, legacy))
            assert containers.read(path)["w"].tolist() == [1, 1]
        refused(path, torch_file({"model": call}, legacy), "no state dict")
    # The canary does sing where a file is trusted.
    path.write_bytes(torch_file({"hook": calls[1]}, legacy))
    assert not canary.exists()
    torch.load(path, weights_only=False)
    assert canary.exists()


# ---------------------------------------------------------------------------------------------
# Mutants


def mutate(rng, content):
    """A few random changes of the bytes, of the kinds that disks, networks and people make."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        size = len(content)
        if not size:
            break
        # Half of them near the start, where the formats have their structure.
        start = rng.randrange(size if rng.random() < 0.5 else min(size, 300))
        length = rng.choice((1, 2, 4, 8, rng.randrange(1, 200)))
        piece = content[start : start + length]
        kind = rng.randrange(9)
        if kind == 0:
            del content[rng.randrange(size) :]
        elif kind == 1:
            content[start] ^= 1 << rng.randrange(8)
        elif kind == 2:
            for _ in range(rng.randrange(2, 20)):
                content[rng.randrange(size)] ^= 1 << rng.randrange(8)
        elif kind == 3:
            content[start : start + length] = rng.randbytes(len(piece))
        elif kind == 4:
            content[start:start] = piece
        elif kind == 5:
            del content[start : start + length]
        elif kind == 6:
            content[start : start + length] = rng.choice((b"\xff", b"\0", b"\x7f")) * len(piece)
        elif kind == 7:
            other = rng.randrange(size)
            content[other : other + len(piece)] = piece
        else:
            content[start] = rng.randrange(256)
    return bytes(content)


def mutate_members(rng, content):
    """Changes what is in a zip file and writes it anew, so that no checksum tells."""
    members = unzipped(content)
    for _ in range(rng.choice((1, 1, 2))):
        index, other = rng.randrange(len(members)), rng.randrange(len(members))
        kind = rng.randrange(8)
        (name, data), (other_name, other_data) = members[index], members[other]
        if kind == 0:
            members[index], members[other] = (name, other_data), (other_name, data)
        elif kind == 1 and len(members) > 1:
            del members[index]
        elif kind == 2:
            taken = {name for name, _ in members}
            # What is left of it when written: a null byte ends it.
            name = zipfile.ZipInfo(mutate(rng, name.encode()).decode("latin-1")).filename
            # Python warns when it writes a name twice; `test_npz_names` has that.
            if name not in taken:
                members[index] = (name, data)
        else:
            # The pickle or a header, more often than not.
            index = 0 if rng.random() < 0.5 else index
            members[index] = (members[index][0], mutate(rng, members[index][1]))
    return zipped(members, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def mutate_header(rng, content):
    """Changes the header of a .safetensors file, with its length set right."""
    length = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + length], content[8 + length :]
    if rng.random() < 0.5:
        return with_header(mutate(rng, header), data)
    parsed = json.loads(header)
    key = rng.choice([key for key in parsed if key != "__metadata__"])
    field = rng.choice(("dtype", "shape", "data_offsets"))
    parsed[key][field] = {
        "dtype": rng.choice(("F64", "F32", "F16", "BF16", "I8", "BOOL", "C64", "O", "F4", "U16")),
        "shape": [rng.choice((-1, 0, 1, 2, 5, 7, 2**31, 2**63)) for _ in range(rng.randrange(4))],
        "data_offsets": [rng.choice((0, 4, 140, 2**40, 2**64)) for _ in range(2)],
    }[field]
    return with_header(parsed, data)


def mutate_h5(rng, content):
    """Changes a `.weights.h5` through the library, which then is pleased with it."""
    buffer = io.BytesIO(content)
    # Not all that is foreign can be done to any file.
    with h5py.File(buffer, "r+") as file, contextlib.suppress(KeyError, TypeError, ValueError):
        layers = list(file["layers"].values())
        group = rng.choice([layer for layer in layers if "0" in layer["vars"]])["vars"]
        array, kind = group["0"][()], rng.randrange(6)
        if kind == 0:
            rng.choice(list(FOREIGN_H5.values()))(file, group)
        elif kind == 1:
            file.move(rng.choice(layers).name, f"layers/{rng.choice(('a', 'm', 'z'))}")
        elif kind == 2:
            group["0"][..., 0] = rng.choice((np.nan, 1e9, 0))
        elif kind == 3:
            del group["0"]
            group["0"] = array.astype(rng.choice(("f2", "f4", "f8", "i4", ">f8")))
        elif kind == 4:
            del group["0"]
            group["0"] = rng.choice((array.T, array.reshape(-1), array[:-1], array[None]))
        else:
            group.attrs["name"] = rng.choice(("dense", "predictions", "stem", "", "é"))
    return buffer.getvalue()


def run_mutants(tmp_path, seeds, structured, read_file=containers.read):
    """Reads `MUTANTS` files; asserts what may come of them, and returns how many were read."""
    hashes = [hashlib.sha256(content).hexdigest() for content in seeds]
    rng = random.Random(0)
    path = tmp_path / "mutant"
    before = None
    if STATUS.exists():
        (STATUS.parent / "clear_refs").write_text("5")
        before = peak()
    start, read = time.perf_counter(), 0
    for index in range(MUTANTS):
        change = rng.choice((mutate, structured))
        seed = rng.randrange(len(seeds))
        content = change(rng, seeds[seed])
        path.write_bytes(content)
        if content != seeds[seed]:
            for known in ({"sha256": hashes[seed]}, {"sha256_prefix": hashes[seed][:8]}):
                with pytest.raises(ValueError, match="expected the sha256"):
                    published_file({"url": str(path), **known}, "mutant")
        try:
            arrays = read_file(path)
        except ValueError:
            continue
        except BaseException as error:
            raise AssertionError(f"mutant {index} ends in {type(error)}") from error
        read += 1
        for array in arrays.values():
            assert array.dtype.kind in "iub" or array.dtype == np.float32
            assert np.isfinite(array).all()
    assert time.perf_counter() - start < SECONDS
    assert before is None or peak() - before < MEGABYTES << 20
    assert os.listdir(tmp_path) == ["mutant"]
    # Neither all nor none, or the mutants would show nothing.
    assert 0.01 * MUTANTS < read < 0.9 * MUTANTS
    return read


def test_mutants_of_npz(tmp_path):
    seeds = [npz(ARRAYS), npz(ARRAYS, np.savez_compressed)]
    run_mutants(tmp_path, seeds, mutate_members)


def test_mutants_of_safetensors(tmp_path):
    arrays = {key: np.ascontiguousarray(array) for key, array in ARRAYS.items()}
    arrays["bfloat16"] = np.ones(3, ml_dtypes.bfloat16)
    run_mutants(tmp_path, [safetensors_numpy.save(arrays)], mutate_header)


def test_mutants_of_h5(tmp_path):
    """Through the loader, into a model."""
    models = [MODEL_CASES["mixer"].build(), MODEL_CASES["s2_mlp_v2"].build()]
    seeds = []
    for model in models:
        model.save_weights(tmp_path / "model.weights.h5")
        seeds.append((tmp_path / "model.weights.h5").read_bytes())
    (tmp_path / "model.weights.h5").unlink()
    [model, _] = models

    def load(path):
        WeightFile(path, "mutant", "Mixer").load(model.layers)
        return {weight.path: np.asarray(weight) for weight in model.weights}

    run_mutants(tmp_path, seeds, mutate_h5, load)


def torch_seeds(tmp_path, legacy):
    import torch

    canary = tmp_path.parent / "canary"
    evil = [Call(os.system, f"touch {canary}"), Call(exec, f"open({str(canary)!r}, 'w')")]
    big = torch.randn(4, 6)
    tensors = {"a": big, "b": big.T, "c": big[::2, 1], "d": big.half(), "e": torch.arange(3)}
    contents = [{**checkpoint(), "hooks": evil}, {"state_dict": tensors, "hooks": evil}]
    return canary, [
        torch_file(content, legacy, pickle_protocol=protocol)
        for content in contents
        for protocol in (2, 4)
    ]


def test_mutants_of_torch_zip(torch, tmp_path):
    (tmp_path / "files").mkdir()
    canary, seeds = torch_seeds(tmp_path / "files", legacy=False)
    run_mutants(tmp_path / "files", seeds, mutate_members)
    assert not canary.exists()


def test_mutants_of_torch_legacy(torch, tmp_path):
    (tmp_path / "files").mkdir()
    canary, seeds = torch_seeds(tmp_path / "files", legacy=True)

    def mutate_pickles(rng, content):
        # The pickles come first; the numbers after them keep their places.
        half = content.rindex(b"\x80", 0, content.rindex(b"e.") + 1)
        return mutate(rng, content[:half]) + content[half:]

    run_mutants(tmp_path / "files", seeds, mutate_pickles)
    assert not canary.exists()
