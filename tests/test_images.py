"""Images from folders and arrays, what is refused, and the command line on a folder."""

import dataclasses
import json
import logging
import os
import types

import keras
import numpy as np
import pytest
from cases import once, once_on_torch
from PIL import Image

from keras_shiftmlp import cli, training
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.training.images import fit, open_image

pytest.importorskip("grain")


def picture(seed, size=(20, 24)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype("uint8")


@pytest.fixture
def folder(tmp_path):
    """Two classes of five pictures each, in every mode that cameras and editors write."""
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for index, mode in enumerate(("RGB", "L", "RGBA", "CMYK", "P")):
            image = Image.fromarray(picture(index)).convert(mode)
            suffix = "jpg" if mode == "CMYK" else "png"
            image.save(tmp_path / "data" / name / f"{mode}.{suffix}")
    return tmp_path / "data"


@once
def test_every_kind_of_file_becomes_rgb(folder):
    images = training.load_images(folder)
    assert images.class_names == ("cat", "dog") and len(images) == 10
    assert images.labels.tolist() == [0] * 5 + [1] * 5
    assert {images[i].mode for i in range(10)} == {"RGB"}
    assert images.resized(8).source.shape == (10, 8, 8, 3)
    assert images.resized((6, 9)).source.shape == (10, 6, 9, 3)
    turned = training.load_images(folder, ["dog", "cat"])
    assert {path.split(os.sep)[-2] for path in turned.source[:5]} == {"dog"}


@once
def test_broken_files_are_counted_and_left_out(folder, caplog):
    whole = (folder / "cat" / "CMYK.jpg").read_bytes()
    (folder / "cat" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "dog" / "text.png").write_text("not a picture")
    (folder / "dog" / "empty.jpg").write_bytes(b"")
    with caplog.at_level(logging.WARNING, logger="keras_shiftmlp"):
        images = training.load_images(folder)
    assert len(images) == 10 and len(images.skipped) == 3
    assert "Left out 3 unreadable of 13 files" in caplog.text and "cut.jpg" in caplog.text
    assert images.labels.tolist() == [0] * 5 + [1] * 5


@once
def test_broken_folders_are_refused(folder, caplog):
    with pytest.raises(ValueError, match="one subfolder per class is needed"):
        training.load_images(folder / "nowhere")
    with pytest.raises(ValueError, match="Received: dog"):
        training.load_images(folder, ["cat", "horse"])
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="Class 'empty' has no image"):
        training.load_images(folder)
    (folder / "empty" / "bad.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"Class 'empty' .* has no readable image"):
        training.load_images(folder)
    with caplog.at_level(logging.WARNING, logger="keras_shiftmlp"):
        (folder / "empty" / "bad.jpg").unlink()
        (folder / "empty").rmdir()
        training.load_images(folder, ["cat", "dog", "horse"])
    assert "No image of 1 of the classes: horse" in caplog.text


@once
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 2], "labels from 0 to 2"),
        ([-1, 0], "labels from -1"),
        ([0.0, 1.0], "one integer"),
        ([0], "one integer"),
        ([0, 1, 0], r"of shape \(3,\) and int64 for 2 images"),
        ([[0, 1], [1, 0]], r"of shape \(2, 2\)"),
        ([[[0]], [[1]]], r"of shape \(2, 1, 1\)"),
    ],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        training.load_images((np.zeros((2, 8, 8, 3), "uint8"), labels), ["a", "b"])


@once
def test_ten_of_the_classes_without_images_are_named(caplog):
    names = [f"class{i}" for i in range(14)]
    labels = np.array([0, 2], "uint8")
    with caplog.at_level(logging.WARNING, logger="keras_shiftmlp"):
        images = training.load_images((np.zeros((2, 8, 8, 3), "uint8"), labels), names)
    assert images.labels.dtype == "int64"
    expected = ", ".join(f"class{i}" for i in (1, *range(3, 12)))
    assert f"No image of 12 of the classes: {expected}." in caplog.text


@once
def test_labels_may_be_a_column():
    images = training.load_images((np.zeros((3, 8, 8, 3), "uint8"), [[0], [1], [0]]))
    assert images.labels.tolist() == [0, 1, 0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        images.labels = np.array([1, 1, 1])


@once
def test_one_split_of_a_dataset_is_read(monkeypatch):
    """`test_on_tensorflow_datasets` reads a real one."""
    tfds = pytest.importorskip("tensorflow_datasets")
    features = {"label": types.SimpleNamespace(names=["a", "b"])}
    pixels = {"train": picture(0), "test": picture(1)}

    class Builder:
        info = types.SimpleNamespace(features=features)

        def download_and_prepare(self):
            pass

        def as_data_source(self, split, decoders):
            assert decoders.keys() == {"image"}
            return [{"image": pixels[split], "label": label} for label in (1, 0)]

    monkeypatch.setattr(
        tfds, "builder", lambda name, file_format: {"array_record": Builder()}[file_format]
    )
    images = training.load_images("tfds:pictures/test")
    assert images.labels.tolist() == [1, 0] and images.class_names == ("a", "b")
    assert np.array_equal(images.source[0]["image"], pixels["test"])


@once
def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match=r"uint8 pixels. Received: float64"):
        training.load_images((np.zeros((2, 8, 8, 3)), [0, 1]))
    with pytest.raises(ValueError, match=r"uint8 pixels. Received: uint8 of shape \(2, 8, 3\)"):
        training.load_images((np.zeros((2, 8, 3), "uint8"), [0, 1]))
    for shape in ((1, 2, 8, 8, 3), (2, 8, 8, 1), (2, 8, 8, 4)):
        with pytest.raises(ValueError, match=r"pixels\. Received: uint8 of shape"):
            training.load_images((np.zeros(shape, "uint8"), [0, 1][: shape[0]]))
    with pytest.raises(ValueError, match="There is no image"):
        training.load_images((np.zeros((0, 8, 8, 3), "uint8"), np.zeros(0, int)), ["a"])


@once
def test_a_split_keeps_the_shares_and_loses_nothing():
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    pixels = np.arange(100, dtype="uint8")[:, None, None, None] * np.ones((1, 2, 2, 3), "uint8")
    images = training.load_images((pixels, labels))
    kept, held = images.split(20, seed=3)
    assert np.bincount(held.labels).tolist() == [10, 6, 4]
    numbers = np.concatenate([kept.source[:, 0, 0, 0], held.source[:, 0, 0, 0]])
    assert sorted(numbers.tolist()) == list(range(100))
    again = images.split(0.2, seed=3)[1]
    np.testing.assert_array_equal(again.source, held.source)
    assert [len(images.split(count)[1]) for count in (1, 99, 0.01, 0.994)] == [1, 99, 1, 99]
    for count in (0, 100, 0.0, 1.0, -1):
        with pytest.raises(ValueError, match=f"held_out={count}"):
            images.split(count)
    # Whatever the count, each class has its share, up to one image.
    for count in range(1, 100):
        of_class = np.bincount(images.split(count)[1].labels, minlength=3)
        assert np.abs(of_class - count * np.array([0.5, 0.3, 0.2])).max() < 1
    for part in (kept, held):  # in the order of the images
        assert (np.diff(part.source[:, 0, 0, 0].astype(int)) > 0).all()
    other = images.split(20, seed=4)[1]
    assert not np.array_equal(other.source, held.source)


@once
def test_transparent_pixels_become_white(tmp_path):
    pixels = picture(0)
    clear = np.concatenate([pixels, np.full((20, 24, 1), 255, "uint8")], axis=-1)
    clear[:5, :, 3] = 0
    expected = pixels.copy()
    expected[:5] = 255
    Image.fromarray(clear).save(tmp_path / "rgba.png")
    grey = Image.fromarray(clear).convert("LA")
    grey.save(tmp_path / "la.png")
    palette = Image.fromarray((np.arange(480) % 4).reshape(20, 24).astype("uint8"), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    palette.save(tmp_path / "p.png", transparency=2)
    read = {name: np.asarray(open_image(tmp_path / f"{name}.png")) for name in ("rgba", "la", "p")}
    np.testing.assert_array_equal(read["rgba"], expected)
    assert (read["la"][:5] == 255).all() and (read["la"][5:] != 255).any()
    assert read["p"][0, :4].tolist() == [[10, 20, 30], [40, 50, 60], [255] * 3, [100, 110, 120]]
    content = open_image((tmp_path / "rgba.png").read_bytes())
    np.testing.assert_array_equal(np.asarray(content), expected)


@once
def test_files_below_subfolders_are_read_in_order(folder, monkeypatch):
    (folder / "cat" / "old").mkdir()
    Image.fromarray(picture(9)).save(folder / "cat" / "old" / "A.JPEG")
    (folder / "cat" / "notes.txt").write_text("no picture")
    done = []
    images = training.load_images(folder, on_progress=lambda *counts: done.append(counts))
    assert done == [(count, 11) for count in range(1, 12)]
    names = [os.path.relpath(path, folder / "cat") for path in images.source[:6]]
    assert names == sorted(names) and os.path.join("old", "A.JPEG") in names
    assert training.class_names_of(folder) == ("cat", "dog")
    part = images.take([6, 0])
    assert part.labels.tolist() == [1, 0] and part.source == [images.source[6], images.source[0]]


@once
def test_a_folder_of_dark_pictures_is_warned_of(tmp_path, caplog):
    cache.warn_once.cache_clear()
    for name, largest in (("a", 1), ("b", 2)):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(np.full((4, 4, 3), largest, "uint8")).save(
            tmp_path / "data" / name / "x.png"
        )
    with caplog.at_level(logging.WARNING, logger="keras_shiftmlp"):
        training.load_images(tmp_path / "data")
        assert not caplog.text
        (tmp_path / "data" / "b" / "x.png").unlink()
        (tmp_path / "data" / "b").rmdir()
        training.load_images(tmp_path / "data")
    assert "No value of the images is above 1" in caplog.text


@once
def test_a_dataset_needs_a_split():
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match=r"A split is needed.* Received: 'cifar10'"):
        training.load_images("tfds:cifar10")
    with pytest.raises(ValueError, match="A split is needed"):
        training.class_names_of("tfds:cifar10")


@once
def test_an_image_is_cut_to_the_ratio_in_the_middle():
    pixels = picture(0, (8, 20))
    image = Image.fromarray(pixels)
    np.testing.assert_array_equal(fit(image, (8, 20)), pixels)
    np.testing.assert_array_equal(fit(image, (8, 8)), pixels[:, 6:14])
    assert fit(image, (4, 6)).shape == (4, 6, 3)


@once_on_torch
def test_the_command_line_trains_and_evaluates(folder, tmp_path, capsys):
    out = str(tmp_path / "run")
    data = ["--data", str(folder)]
    changes = ["--set", "epochs=2", "batch_size=4", "flip=False"]
    cli.main(["train", "MixerNano", *data, "--hold-out", "2", *changes, "--out", out])
    assert json.loads(capsys.readouterr().out)["epoch"] == 2
    cli.main(["evaluate", f"{out}/model.keras", *data])
    result = json.loads(capsys.readouterr().out)
    assert result["images"] == 10 and 0 <= result["top1"] <= result["top5"] == 1
    model = keras.models.load_model(f"{out}/model.keras")
    expected = training.evaluate(model, training.load_images(folder))
    assert expected["loss"] == pytest.approx(result["loss"], rel=1e-5)
