"""Images in, batches, and runs that end alike whether or not they were killed."""

import json
import logging
import os
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, TRAINS
from PIL import Image

import keras_shiftmlp
from keras_shiftmlp import cli, training

pytest.importorskip("grain")
once = pytest.mark.skipif(BACKEND != "numpy", reason="the same on every backend")
trains = pytest.mark.skipif(not TRAINS, reason=f"{BACKEND} does not train")


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


@pytest.fixture
def arrays():
    """Bright pictures are class 1, dark ones class 0."""
    labels = np.arange(24) % 2
    pixels = np.stack([picture(i, (16, 16)) // 2 + 100 * labels[i] for i in range(24)])
    return training.load_images((pixels.astype("uint8"), labels), ["dark", "bright"])


@once
def test_every_kind_of_file_becomes_rgb(folder):
    images = training.load_images(folder)
    assert images.class_names == ("cat", "dog") and len(images) == 10
    assert images.labels.tolist() == [0] * 5 + [1] * 5
    assert {images[i].mode for i in range(10)} == {"RGB"}
    assert images.resized(8).source.shape == (10, 8, 8, 3)
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
    [([0, 2], "labels from 0 to 2"), ([-1, 0], "labels from -1"), ([0.0, 1.0], "one integer")],
)
def test_bad_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        training.load_images((np.zeros((2, 8, 8, 3), "uint8"), labels), ["a", "b"])


@once
def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match=r"uint8 pixels. Received: float64"):
        training.load_images((np.zeros((2, 8, 8, 3)), [0, 1]))
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
    with pytest.raises(ValueError, match="held_out=100"):
        images.split(100)


AUGMENTATION = dict(crop_padding=2, cutmix=1.0, mixup=0.2, erase=0.5)


def batches(images, **kwargs):
    defaults = dict(batch_size=8, seed=1, **AUGMENTATION)
    return list(training.training_batches(images, 16, **{**defaults, **kwargs}))


@trains
def test_a_batch_depends_on_its_number_alone(arrays):
    whole = batches(arrays, stop=7)
    for (x, y), (x_again, y_again) in zip(whole[4:], batches(arrays, start=4, stop=7, workers=3)):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(y, y_again)
    assert np.abs(whole[0][0] - whole[3][0]).max() > 1  # another epoch, another draw
    for x, y in whole:
        assert x.shape == (8, 16, 16, 3) and x.dtype == np.float32
        assert x.min() >= 0 and x.max() <= 255
        np.testing.assert_allclose(y.sum(1), 1, atol=1e-6)


@trains
def test_threads_do_not_disturb_one_another(arrays):
    mixing = dict(crop_padding=0, flip=False, erase=0, stop=90)
    alone, together = batches(arrays, workers=1, **mixing), batches(arrays, workers=8, **mixing)
    for (x, y), (x_again, y_again) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(y, y_again)


@trains
def test_shards_are_parts_of_one_batch(arrays):
    only_crops = dict(flip=False, cutmix=0, mixup=0, erase=0, stop=2)
    whole = batches(arrays, **only_crops)
    parts = [batches(arrays, shard=(index, 2), **only_crops) for index in range(2)]
    for (x, y), *halves in zip(whole, *parts):
        np.testing.assert_array_equal(np.concatenate([half[0] for half in halves]), x)
        np.testing.assert_array_equal(np.concatenate([half[1] for half in halves]), y)


@once
def test_an_epoch_sees_every_image_once(arrays):
    plain = dict(flip=False, cutmix=0, mixup=0, erase=0, crop_padding=0, stop=3)
    seen = np.concatenate([x for x, _ in batches(arrays, **plain)])
    by_sum = lambda x: np.sort(x.reshape(len(x), -1).astype("int64").sum(1))  # noqa: E731
    np.testing.assert_array_equal(by_sum(seen), by_sum(arrays.source))


@once
def test_evaluation_batches_have_one_shape(arrays):
    found = list(training.evaluation_batches(arrays, 16, batch_size=10))
    assert [x.shape[0] for x, _, _ in found] == [10, 10, 10]
    weights = np.concatenate([w for _, _, w in found])
    assert weights.sum() == 24 and weights[24:].sum() == 0
    pixels = np.concatenate([x for x, _, _ in found])[:24]
    np.testing.assert_array_equal(pixels, arrays.source)


def tiny(**kwargs):
    return keras_shiftmlp.S2MLPv2(
        patch_sizes=(4, 2), dims=(8, 16), depths=(1, 1), input_shape=(16, 16, 3), classes=2,
        drop_path_rate=0.2, dropout_rate=0.1, **kwargs,
    )  # fmt: skip


RECIPE = training.recipe("cifar10_nano", epochs=3, batch_size=8, ema_momentum=0.5, cutmix=1.0)


@trains
@pytest.mark.parametrize("changes", [{}, dict(layer_decay=0.7), dict(accumulate=3, epochs=6)])
def test_training_learns_and_writes_its_card(arrays, tmp_path, changes):
    model = tiny()
    recipe = {**RECIPE, "epochs": 5, "learning_rate": 1e-2, "cutmix": 0.0, **changes}
    logs = BACKEND == "tensorflow"
    card = training.train(model, arrays, arrays, out=tmp_path, tensorboard=logs, **recipe)
    assert card["history"][-1]["val_top1"] == 1.0
    result = training.evaluate(model, arrays, batch_size=10)
    assert result["top1"] == 1.0 and result["images"] == 24
    # The weights of the moving average are what was evaluated and what is kept.
    np.testing.assert_allclose(result["loss"], plain_loss(model, arrays), rtol=1e-4)
    assert model.class_names == ("dark", "bright") and model.preprocessing.crop_fraction == 1.0
    fresh = tiny()
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(fresh.get_weights()[0], model.get_weights()[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert len(lines) == recipe["epochs"] + 1 and lines[0].startswith("epoch,")
    assert (tmp_path / "curves.png").exists() and not (tmp_path / "state").exists()
    assert json.loads((tmp_path / "card.json").read_text()) == card
    events = tmp_path.glob("tensorboard/validation/events*")
    assert sum(path.stat().st_size > 0 for path in events) == logs
    # The same command again gives back what is there; another run does not get this folder.
    again = tiny()
    assert training.train(again, arrays, arrays, out=tmp_path, **recipe) == card
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"'seed': 0} there, {'seed': 3} here"):
        training.train(tiny(), arrays, arrays, out=tmp_path, seed=3, **recipe)


def plain_loss(model, images):
    scores = model.predict(images.source.astype("float32"), verbose=0)
    return -np.log(scores[np.arange(len(images)), images.labels]).mean()


@trains
def test_a_loss_that_is_no_number_stops_the_run(arrays, tmp_path):
    model = tiny()
    kernel = model.get_layer("predictions").kernel
    kernel.assign(keras.ops.full(kernel.shape, float("nan")))
    with pytest.raises(
        FloatingPointError, match=r"epoch 1, batch 1 .*first is stage_0_stem/kernel"
    ):
        training.train(model, arrays, out=tmp_path, **RECIPE)


@trains
def test_images_and_model_must_fit(arrays, tmp_path):
    model = keras_shiftmlp.S2MLPv2(
        patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(16, 16, 3), classes=3
    )
    with pytest.raises(ValueError, match="each of the 2 classes"):
        training.train(model, arrays, out=tmp_path, **RECIPE)
    with pytest.raises(ValueError, match=r"one update of 24 images.*`batch_size=25`"):
        training.train(tiny(), arrays, out=tmp_path, **{**RECIPE, "batch_size": 25})
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(BACKEND != "torch", reason="once; torch starts fastest")
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


RUN = """
import os, signal, sys, numpy as np
sys.path.insert(0, sys.argv[2])
import keras, test_training as t

class Kill(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)

labels = np.arange(24) % 2
pixels = np.stack([t.picture(i, (16, 16)) // 2 + 100 * labels[i] for i in range(24)])
images = t.training.load_images((pixels.astype("uint8"), labels), ["dark", "bright"])
keras.utils.set_random_seed(5)
callbacks = [Kill()] if sys.argv[3:] == ["kill"] else []
t.training.train(
    t.tiny(), images, images, out=sys.argv[1], seed=5, callbacks=callbacks, **t.RECIPE
)
"""


@trains
def test_a_killed_run_ends_like_an_unbroken_one(tmp_path):
    def run(name, *arguments):
        here = os.path.dirname(__file__)
        command = [sys.executable, "-c", RUN, tmp_path / name, here, *arguments]
        return subprocess.run(command).returncode

    assert run("whole") == 0
    assert run("broken", "kill") == -signal.SIGKILL
    assert list((tmp_path / "broken" / "state").glob("epoch_00001*"))
    assert not (tmp_path / "broken" / "card.json").exists()
    assert run("broken") == 0
    whole, resumed = tiny(), tiny()
    whole.load_weights(tmp_path / "whole" / "model.weights.h5")
    resumed.load_weights(tmp_path / "broken" / "model.weights.h5")
    for one, other in zip(whole.get_weights(), resumed.get_weights()):
        np.testing.assert_array_equal(one, other)
