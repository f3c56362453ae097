"""The quickstart on folders and TensorFlow Datasets, and the fenced blocks of the docs."""

import functools
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
from cases import BACKEND, HERE, once, once_on_torch
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp import cli

on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="it writes a SavedModel")
QUICKSTART = HERE.parent / "examples" / "quickstart.py"
PAGES = [
    *sorted(HERE.parent.glob("*.md")),
    *sorted(HERE.parent.glob("docs/*.md")),
    *sorted(HERE.parent.glob("weights/*.md")),
]
ARGUMENTS = ["--epochs", "1", "--size", "16", "--batch-size", "8"]


def quickstart(out, *arguments, before=""):
    """Runs the example in a process of its own, with a network that compiles quickly."""
    code = f"""
import runpy, sys, keras_shiftmlp
def tiny(weights, **kwargs):
    return keras_shiftmlp.S2MLP(patch_sizes=(4,), dims=(8,), depths=(1,), **kwargs)
keras_shiftmlp.S2MLPNano = tiny
sys.argv = ["quickstart.py", "--out", *sys.argv[1:]]
{before}
runpy.run_path({str(QUICKSTART)!r}, run_name="__main__")
"""
    command = [sys.executable, "-c", code, out, *arguments, *ARGUMENTS]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert ".keras in a fresh process" in text and "SavedModel in a fresh process" in text
    for name in ("predictions.png", "curves.png"):
        with Image.open(out / name) as picture:
            assert picture.size[0] > 500
            assert len(picture.convert("L").getcolors()) > 50


@on_tensorflow
def test_on_a_folder_of_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("bright", "dark"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(20):  # 32 to train on and 8 to test on: whole batches, one compilation
            image = rng.integers(0, 128, (20, 24, 3)) + 127 * (name == "bright")
            Image.fromarray(image.astype("uint8")).save(tmp_path / "data" / name / f"{i}.png")
    quickstart(tmp_path / "out", "--data", tmp_path / "data")


@once_on_torch
def test_starts_without_tensorflow_as_backend():
    run = subprocess.run([sys.executable, QUICKSTART, "--help"], capture_output=True, text=True)
    assert run.returncode == 0 and "--tfds" in run.stdout, run.stderr


@on_tensorflow
def test_on_tensorflow_datasets(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    mock = """
import tensorflow_datasets as tfds
mocked = tfds.testing.mock_data(num_examples=40)
mocked.__enter__()
tfds.core.DatasetBuilder.download_and_prepare = lambda self: None
"""
    quickstart(tmp_path, "--tfds", "cifar10", before=mock)


@once
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_fence_in_the_docs_names_its_language(page):
    fences = re.findall(r"^ *```(.*)$", page.read_text(), re.M)
    assert len(fences) % 2 == 0
    assert set(fences[::2]) <= {"python", "sh", "text"} and set(fences[1::2]) <= {""}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """The working directory, with the photo and the folders that the docs name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("photo.jpg", *(f"{n}_photos/{c}/{i}.jpg" for n in ("my", "more")
                                for c in ("daisy", "tulip") for i in range(8))):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 48, 3), "uint8")).save(path)
    return tmp_path


@once_on_torch
def test_shell_blocks_of_the_quickstart_run(photos):
    page = HERE.parent / "docs" / "quickstart.md"
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.M | re.S)
    commands = "".join(block for block in blocks if not block.startswith("pip install"))
    lines = commands.replace("\\\n", " ").splitlines()
    assert len(lines) == 8
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "keras-shiftmlp"
        cli.main(arguments)
    assert (photos / "runs" / "photos" / "model.keras").exists()
    assert (photos / "s2.onnx").exists()


@pytest.mark.filterwarnings("ignore:(?s).*structure of `inputs` doesn't match the expected")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_blocks_in_the_docs_run(page, photos, monkeypatch):
    """Each page in a folder of its own; a block sees the names of the blocks above it.

    PyTorch compiles nothing, but most exports are TensorFlow's.
    """
    if ("tensorflow" if page.stem == "export" else "torch") != BACKEND:
        pytest.skip("once, where it is fastest")
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    for package in ("keras_hub", "keras_cv", "tensorflow_hub", "ai_edge_quantizer", "openvino"):
        if any(f"import {package}" in block for block in blocks):
            pytest.importorskip(package)
    monkeypatch.syspath_prepend(QUICKSTART.parent)  # for `import distribution`
    if page.stem == "export":  # the depth decides how long tracing and converting take
        shallow = functools.partial(keras_shiftmlp.S2MLPv2Nano, depths=(1, 1))
        monkeypatch.setattr(keras_shiftmlp, "S2MLPv2Nano", lambda weights: shallow(weights=None))
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
