"""The bundled checkpoints, on real pictures."""

import io
import json
import tarfile

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, TRAINS
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp.checkpoints.manifest import SHIPPED
from keras_shiftmlp.downloads.cache import sha256_of
from keras_shiftmlp.models.macs import count_parameters

PICTURES = HERE.parents[1] / "shared" / "data" / "cifar10.tar.xz"
ENTRIES = json.loads((SHIPPED / "manifest.json").read_text())
pytestmark = pytest.mark.skipif(not TRAINS, reason=f"slow on {BACKEND}")
each = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["model"])


@pytest.fixture(scope="module")
def pictures():
    """The first 30 test pictures of each class of CIFAR-10, and the class names."""
    if not PICTURES.exists():
        pytest.skip("CIFAR-10 is not here")
    found = {}
    with tarfile.open(PICTURES) as archive:
        for member in archive:
            _, split, *rest = member.name.split("/")
            if split == "test" and len(rest) == 2 and len(found.setdefault(rest[0], [])) < 30:
                picture = Image.open(io.BytesIO(archive.extractfile(member).read()))
                found[rest[0]].append(np.asarray(picture.convert("RGB")))
            if split == "train":
                break
    return found


@each
def test_accuracy_is_near_what_is_said(entry, pictures):
    model = keras_shiftmlp.get_model(entry["model"])
    images = np.concatenate(list(pictures.values()))
    labels = np.repeat([model.class_names.index(name) for name in pictures], 30)
    right = model.predict(images, batch_size=60, verbose=0).argmax(1) == labels
    # 300 of 10,000 images: the standard deviation is 2 points or less.
    assert 100 * np.mean(right) == pytest.approx(entry["top1"], abs=4)


@each
def test_entry_is_that_of_the_file(entry):
    model = keras_shiftmlp.get_model(entry["model"], weights=entry["tag"])
    history = json.loads((SHIPPED / f"{entry['model']}.{entry['tag']}.history.json").read_text())
    assert count_parameters(model) == entry["params"] == history["training"]["parameters"]
    assert model.class_names == tuple(entry["class_names"]) and len(model.class_names) == 10
    assert entry["file"] == f"{entry['model']}.{entry['tag']}.safetensors"
    assert (SHIPPED / entry["file"]).stat().st_size == entry["size"]
    assert sha256_of(SHIPPED / entry["file"]) == entry["sha256"]
    other = keras_shiftmlp.get_model(entry["model"], classes=3, input_shape=(32, 32, 3))
    kept = [layer.name for layer in model.layers if layer.weights and layer.name != "predictions"]
    for name in kept:
        for one, two in zip(model.get_layer(name).weights, other.get_layer(name).weights):
            np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, two)))
