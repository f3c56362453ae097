"""Batches, and runs that end alike whether or not they were killed."""

import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, JIT, once, once_on_torch, trains
from test_images import picture

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.training import callbacks, trainer

pytest.importorskip("grain")


@pytest.fixture
def arrays():
    """Bright pictures are class 1, dark ones class 0."""
    labels = np.arange(24) % 2
    pixels = np.stack([picture(i, (16, 16)) // 2 + 100 * labels[i] for i in range(24)])
    return training.load_images((pixels.astype("uint8"), labels), ["dark", "bright"])


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


RECIPE = training.recipe("cifar10_nano", epochs=4, batch_size=4, ema_momentum=0.5, cutmix=1.0)
RECIPE["jit_compile"] = JIT


@trains
@pytest.mark.parametrize("changes", [{}, dict(layer_decay=0.7), dict(accumulate=3, epochs=6)])
def test_training_learns_and_writes_its_card(arrays, tmp_path, changes):
    model = tiny()
    recipe = {**RECIPE, "epochs": 5, "learning_rate": 1e-2, "cutmix": 0.0, **changes}
    recipe["jit_compile"] = JIT if changes else "auto"
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
    for weight, right in zip(fresh.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, right)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
    assert read_log(tmp_path) == card["history"] and len(card["history"]) == recipe["epochs"]
    assert (tmp_path / "curves.png").exists() and not (tmp_path / "state").exists()
    assert json.loads((tmp_path / "card.json").read_text()) == card
    events = tmp_path.glob("tensorboard/validation/events*")
    assert sum(path.stat().st_size > 0 for path in events) == logs
    # The same command again gives back what is there; another run does not get this folder.
    again = tiny()
    assert training.train(again, arrays, arrays, out=tmp_path, **recipe) == card
    assert again.class_names == model.class_names
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    with pytest.raises(ValueError, match=r"'seed': 0} there, {'seed': 3} here"):
        training.train(tiny(), arrays, arrays, out=tmp_path, seed=3, **recipe)


@once
def test_weights_are_written_beside_their_place(tmp_path):
    """Only within one file system is the last step atomic."""
    folders = []

    class Model:
        def save_weights(self, path, overwrite):
            folders.append(path.parent)
            path.write_text("weights")

    callbacks.save_weights(Model(), tmp_path / "model.weights.h5")
    assert folders == [tmp_path] and [x.name for x in tmp_path.iterdir()] == ["model.weights.h5"]
    (tmp_path / "model.weights.h5").unlink()
    callbacks.save_weights(Model(), tmp_path / "model.weights.h5", keep=False)
    assert folders[1] != tmp_path and not any(tmp_path.iterdir())


def read_log(out):
    with open(out / "log.csv", newline="") as file:
        return [
            {key: json.loads(value) for key, value in row.items()} for row in csv.DictReader(file)
        ]


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
    # No epoch is done, so a run of other settings may have the folder.
    card = training.train(tiny(), arrays, out=tmp_path, **{**RECIPE, "epochs": 1, "seed": 9})
    assert card["seed"] == 9 and json.loads((tmp_path / "settings.json").read_text())["seed"] == 9


@once_on_torch
def test_an_unfinished_run_keeps_its_folder(arrays, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    recipe = dict(batch_size=8, learning_rate=1e-3)
    with pytest.raises(InterruptedError):
        training.train(linear(2), arrays, out=tmp_path, callbacks=[Stop()], epochs=3, **recipe)
    for changes in (dict(epochs=1), dict(epochs=3, mixup=0.2), dict(epochs=3, label_smoothing=0.1)):
        with pytest.raises(ValueError, match=rf"other settings.*'{list(changes)[-1]}'"):
            training.train(linear(2), arrays, out=tmp_path, **recipe, **changes)
    card = training.train(linear(2), arrays, out=tmp_path, epochs=3, **recipe)
    assert [row["epoch"] for row in card["history"]] == [1, 2, 3]


BAD_CALLS = {
    "flp": True,
    "schedule": "step",
    "crop_scale": (0.5, 2.0),
    "mixup": -1,
    "epochs": 1.5,
    "seed": -1,
    "warmup_epochs": -1,
    "label_smoothing": 1.0,
    "crop_fraction": 0,
    "jit_compile": "yes",
    "shard": (1, 1),
    "learning_rate": 0,
    "layer_decay": 2,
    "ema_momentum": 1.0,
    "accumulate": 0,
    "early_stopping": 0,
}


@once_on_torch
def test_a_class_without_images_has_no_weight(arrays, tmp_path, caplog):
    names = (*arrays.class_names, "grey")
    images = training.Images(arrays.source, arrays.labels, names)
    recipe = dict(epochs=1, batch_size=8, learning_rate=1e-3, class_weights="balanced")
    card = training.train(linear(3), images, out=tmp_path, **recipe)
    assert np.isfinite(card["history"][0]["loss"])
    assert "No image of 1 of the classes: grey" in caplog.text


@once_on_torch
def test_batches_of_both_kinds_are_read_alike(arrays, tmp_path, monkeypatch):
    seen = []
    for name in ("training_batches", "evaluation_batches"):
        function = getattr(trainer, name)

        def spy(*args, function=function, **kwargs):
            seen.append((kwargs["workers"], kwargs["worker_processes"], kwargs["shard"]))
            return function(*args, **{**kwargs, "worker_processes": 0})

        monkeypatch.setattr(trainer, name, spy)
    recipe = dict(epochs=1, batch_size=8, learning_rate=1e-3, workers=3, worker_processes=2)
    training.train(linear(2), arrays, arrays, out=tmp_path, **recipe)
    assert seen == [(3, 2, (0, 1))] * 2


@once_on_torch
def test_a_bad_argument_leaves_no_trace(arrays, tmp_path):
    model, out = linear(2), tmp_path / "run"
    recipe = dict(epochs=1, batch_size=8, learning_rate=1e-3)
    for name, value in BAD_CALLS.items():
        with pytest.raises((ValueError, TypeError), match=name):
            training.train(model, arrays, out=out, **{**recipe, name: value})
        assert not out.exists(), name
    three = training.load_images((arrays.source[:6], [0, 1, 2] * 2))
    with pytest.raises(ValueError, match="each of the 3 classes"):
        training.train(model, arrays, three, out=out, **recipe)
    assert not out.exists()
    training.train(model, arrays, out=out, **recipe)
    assert (out / "card.json").exists()


def linear(classes, size=(16, 16)):
    """A classifier of the mean colour, the same each time."""
    model = keras.Sequential(
        [
            keras.Input((*size, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax", name="predictions"),
        ],
        name="linear",
    )
    kernel = np.random.default_rng(0).normal(size=(3, classes))
    model.layers[-1].set_weights([kernel, np.zeros(classes)])
    return model


STILL = dict(epochs=1, batch_size=24, learning_rate=1e-12, weight_decay=0.0, flip=False)


@once_on_torch
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_labels_are_smoothed_in_the_loss(arrays, tmp_path, smoothing):
    model = linear(2)
    card = training.train(model, arrays, out=tmp_path, label_smoothing=smoothing, **STILL)
    logs = np.log(model.predict(arrays.source.astype("float32"), verbose=0))  # (N, 2)
    labels = (1 - smoothing) * np.eye(2)[arrays.labels] + smoothing / 2
    expected = -(labels * logs).sum(1).mean()
    assert card["history"][0]["loss"] == pytest.approx(expected, rel=1e-5)


@once_on_torch
@pytest.mark.parametrize(("crop_fraction", "top1"), [(0.5, 1.0), (1.0, 0.0)])
def test_validation_cuts_the_border_off(arrays, tmp_path, crop_fraction, top1):
    """Pictures whose frame, three quarters of them, is of the other class."""
    pixels = np.zeros((2, 32, 32, 3), "uint8")
    pixels[0], pixels[1, 8:24, 8:24] = 255, 255
    pixels[0, 8:24, 8:24] = 0
    model = linear(2)
    model.layers[-1].set_weights([np.outer(np.ones(3), [-9, 9]) / 3, np.array([4.5, -4.5])])
    framed = training.load_images((pixels, [0, 1]), ["dark", "bright"])
    card = training.train(model, arrays, framed, out=tmp_path, crop_fraction=crop_fraction, **STILL)
    assert card["history"][0]["val_top1"] == top1


@once_on_torch
def test_the_average_spans_a_tenth_of_the_run(arrays, tmp_path):
    """Of `n` updates the momentum is at most `1 - 10 / n`."""
    model = linear(2)
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(self.model.get_weights()[0])

    recipe = dict(epochs=5, batch_size=3, learning_rate=0.05, callbacks=[Watch()])
    card = training.train(model, arrays, out=tmp_path, ema_momentum=0.99, **recipe)
    assert card["ema_momentum"] == 0.75 and len(seen) == 40
    average = seen[0]
    for weights in seen[1:]:
        average = 0.75 * average + 0.25 * weights
    np.testing.assert_allclose(model.get_weights()[0], average, rtol=1e-4, atol=1e-6)
    recipe["epochs"] = 1
    for momentum, expected in ((0.99, 0.0), (None, None)):
        out = tmp_path / str(momentum)
        card = training.train(linear(2), arrays, out=out, ema_momentum=momentum, **recipe)
        assert card["ema_momentum"] == expected
    recipe["epochs"] = 20
    card = training.train(model, arrays, out=tmp_path / "low", ema_momentum=0.5, **recipe)
    assert card["ema_momentum"] == 0.5


@once_on_torch
def test_the_warm_up_is_counted_in_updates(arrays, tmp_path):
    recipe = {**STILL, "epochs": 4, "batch_size": 8}  # three batches per epoch
    for steps, changes in (
        (0, {}),
        (6, dict(warmup_epochs=2)),
        (3, dict(warmup_epochs=2, accumulate=2)),
        (4, dict(warmup_epochs=2, warmup_steps=4)),
    ):
        card = training.train(linear(2), arrays, out=tmp_path / str(steps), **recipe, **changes)
        assert card["warmup_steps"] == steps


@once_on_torch
def test_the_file_of_the_weights_holds_the_model_alone(arrays, tmp_path):
    model = keras_shiftmlp.S2MLPv2(
        patch_sizes=(4,), dims=(96,), depths=(2,), input_shape=(16, 16, 3), classes=2
    )
    recipe = dict(epochs=1, batch_size=24, learning_rate=1e-3, ema_momentum=0.9)
    training.train(model, arrays, out=tmp_path, **recipe)
    size = (tmp_path / "model.weights.h5").stat().st_size
    assert 4 * model.count_params() < size < 1.3 * 4 * model.count_params()
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    model.fit(arrays.source[:8].astype("float32"), np.eye(2)[arrays.labels[:8]], verbose=0)


def spied(monkeypatch, place, name):
    """The keyword arguments of the calls of a function of a module or class."""
    calls, function = [], getattr(place, name)

    def spy(*args, **kwargs):
        calls.append(kwargs)
        return function(*args, **kwargs)

    monkeypatch.setattr(place, name, spy)
    return calls


@once_on_torch
def test_every_argument_arrives(arrays, tmp_path, monkeypatch):
    names = "build_optimizer", "training_batches", "evaluation_batches"
    optimizer, trained, evaluated = (spied(monkeypatch, trainer, name) for name in names)
    compiled, fitted = (spied(monkeypatch, keras.Model, name) for name in ("compile", "fit"))
    model = linear(2)
    of_optimizer = dict(
        learning_rate=0.01, warmup_steps=1, warmup_learning_rate=1e-3, final_learning_rate=1e-4,
        schedule="linear", weight_decay=0.3, clip_norm=0.5, ema_momentum=0.0, accumulate=2,
        layer_decay=1.0,
    )  # fmt: skip
    of_images = dict(crop_padding=1, flip=False, mixup=0.3, cutmix=0.2, erase=0.1)
    more = dict(label_smoothing=0.2, class_weights="balanced", early_stopping=7, crop_fraction=0.9)
    common = dict(batch_size=8, workers=3, worker_processes=0, shard=(0, 1))
    own = keras.callbacks.Callback()
    card = training.train(
        model, arrays, arrays.take(range(10)), out=tmp_path / "run", epochs=2, seed=5,
        jit_compile=False, callbacks=[own], verbose=0, **of_optimizer, **of_images, **more,
        **common,
    )  # fmt: skip
    assert optimizer == [of_optimizer]
    assert trained == [{**common, **of_images, "seed": 5, "start": 0, "stop": 6}]
    assert evaluated == [{**common, "crop_fraction": 0.9, "passes": 2}]
    [call] = fitted
    assert own in call["callbacks"]
    rest = {
        key: value for key, value in call.items() if key not in ("callbacks", "validation_data")
    }
    assert rest == dict(
        epochs=2, initial_epoch=0, steps_per_epoch=3, validation_steps=2, verbose=0, shuffle=False
    )
    for settings in compiled:
        assert settings["loss"].label_smoothing == 0.2 and not settings["loss"].from_logits
        assert settings["jit_compile"] is False
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01)
    assert model.optimizer.weight_decay == 0.3
    history, seconds = card.pop("history"), card.pop("seconds")
    assert seconds == sum(row["seconds"] for row in history)
    assert history[0].keys() == {
        "epoch", "loss", "top1", "val_loss", "val_top1", "seconds", "images_per_second",
    }  # fmt: skip
    assert card.pop("finished") == time.strftime("%Y-%m-%d", time.gmtime())
    assert card == {
        "model": "linear", "parameters": 8, "macs": 6, "dtype": "float32", "images": 24,
        "classes": ["dark", "bright"], "epochs": 2, "batch_size": 8, "seed": 5, "backend": "torch",
        **of_optimizer, **of_images, **more,
    }  # fmt: skip


@once_on_torch
def test_logits_train_too(arrays, tmp_path):
    model = linear(2)
    model.layers[-1].activation = keras.activations.linear
    expected = training.evaluate(model, arrays)["loss"]
    card = training.train(model, arrays, arrays, out=tmp_path, **STILL)
    assert card["history"][0]["val_loss"] == pytest.approx(expected, rel=1e-4)
    assert training.evaluate(linear(2), arrays)["loss"] == pytest.approx(expected, rel=1e-4)


@once_on_torch
def test_tensorboard_needs_its_packages(arrays, tmp_path, monkeypatch):
    for missing in ("tensorboard", "tensorflow"):
        find = lambda name, missing=missing: None if name == missing else True  # noqa: E731
        monkeypatch.setattr(importlib.util, "find_spec", find)
        with pytest.raises(ImportError, match="pip install tensorboard tensorflow"):
            training.train(linear(2), arrays, out=tmp_path / "run", tensorboard=True, **STILL)
    assert not any(tmp_path.iterdir())


@once_on_torch
def test_balanced_classes_weigh_the_same(tmp_path, monkeypatch):
    """A batch of 8 images of one class and 1 of the other: each class has half of the weight."""

    def fit(self, batches, **kwargs):
        fitted.extend(next(iter(batches)))
        raise RuntimeError("enough")

    fitted = []
    monkeypatch.setattr(keras.Model, "fit", fit)
    pixels, labels = np.full((9, 16, 16, 3), 99, "uint8"), np.array([0] * 8 + [1])
    images = training.load_images((pixels, labels))
    settings = {"epochs": 1, "batch_size": 9, "learning_rate": 1e-3, "flip": False}
    with pytest.raises(RuntimeError, match="enough"):
        training.train(
            linear(2),
            images,
            out=tmp_path / "run",
            class_weights="balanced",
            **settings,
        )
    _, targets, weights = fitted
    np.testing.assert_allclose(targets.T @ weights, [4.5, 4.5], rtol=1e-6)
    with pytest.raises(ValueError, match="`early_stopping` needs `validation`"):
        training.train(
            linear(2),
            images,
            out=tmp_path / "other",
            early_stopping=2,
            **settings,
        )


@once_on_torch
def test_the_log_grows_with_the_run(arrays, tmp_path):
    lengths = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            lengths.append(len(read_log(tmp_path)) if epoch else 0)

    recipe = {**STILL, "epochs": 3}
    training.train(linear(2), arrays, out=tmp_path, callbacks=[Watch()], **recipe)
    assert lengths == [0, 1, 2] and [row["epoch"] for row in read_log(tmp_path)] == [1, 2, 3]


@once
def test_progress_says_how_long_it_takes(monkeypatch, caplog):
    now, counted = [0.0], []
    monkeypatch.setattr(callbacks.time, "perf_counter", lambda: now[0])
    progress = callbacks.Progress(10, 100, lambda done, total: counted.append((done, total)))
    progress.set_params({"epochs": 3})
    caplog.set_level("INFO", "keras_shiftmlp")
    progress.on_epoch_begin(0)
    for seconds, batch in [(60, 2), (100, 3), (150, 4)]:  # a line after more than a minute
        now[0] = seconds
        progress.on_train_batch_end(batch, {"loss": 1.5})
    now[0] = 240
    progress.on_test_begin()
    now[0] = 300
    logs = {"loss": 1.25}
    progress.on_epoch_end(0, logs)
    assert caplog.messages == [
        # 4 of 30 batches in 100 s: 26 remain.
        "Epoch 1/3, batch 4/10: loss 1.5, 4 images/s, about 11 min left",
        "Epoch 1/3: loss 1.25 seconds 300 images_per_second 4.167, about 10 min left",
    ]
    assert counted == [(3, 30), (4, 30), (5, 30)]
    assert logs["images_per_second"] == 1000 / 240


@once
@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([], 1, False),
        ([3, 2, 1], 1, False),
        ([3, 2, 2.5], 1, True),
        ([3, 2, 2], 1, True),
        ([3, 2, 2.5], 2, False),
        ([3, 2, 2.5, 2.4], 2, True),
        ([1, 2, 3], 3, False),
        ([1, 2, 3, 4], 3, True),
        ([1, 2, 3, 0.5], 3, False),
        ([1, 2, 3, 4], None, False),
    ],
)
def test_patience_counts_from_the_lowest_loss(losses, patience, stops, tmp_path):
    resume = callbacks.Resume(tmp_path, seed=0, writes=False)
    resume.history = [{"val_loss": loss} for loss in losses]
    assert resume.stopped(patience) is stops
    if patience is not None:
        early = callbacks.StopEarly(resume, patience)
        early.set_model(types.SimpleNamespace(stop_training=False))
        early.on_epoch_end(len(losses))
        assert early.model.stop_training is stops


@once
def test_a_process_that_does_not_write_may_be_the_first(tmp_path):
    resume = callbacks.Resume(tmp_path / "run", seed=0, writes=False)
    for _ in range(2):
        resume.on_train_begin()
        assert (tmp_path / "run" / "state").is_dir()


@once_on_torch
def test_a_loss_that_does_not_fall_stops_the_run(arrays, tmp_path):
    recipe = {**STILL, "epochs": 9}  # the loss stays as it is
    for patience, epochs in ((None, 9), (2, 3)):
        out = tmp_path / str(patience)
        card = training.train(linear(2), arrays, arrays, out=out, early_stopping=patience, **recipe)
        assert len(card["history"]) == epochs


@once_on_torch
def test_a_run_has_at_least_one_update(arrays, tmp_path):
    recipe = {**STILL, "epochs": 2}
    training.train(linear(2), arrays, out=tmp_path / "two", accumulate=2, **recipe)
    with pytest.raises(ValueError, match=r"`epochs=2`, `accumulate=3`"):
        training.train(linear(2), arrays, out=tmp_path / "three", accumulate=3, **recipe)


@once_on_torch
def test_models_that_are_not_square_train(arrays, tmp_path):
    model = keras_shiftmlp.S2MLPv2(
        patch_sizes=(4,), dims=(8,), depths=(1,), input_shape=(16, 24, 3), classes=2
    )
    recipe = dict(epochs=1, batch_size=8, learning_rate=1e-3, crop_scale=(0.5, 1.0))
    card = training.train(model, arrays, arrays, out=tmp_path, **recipe)
    assert np.isfinite(card["history"][0]["val_loss"])


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


class Kill(keras.callbacks.Callback):
    """Kills the process in the second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 1):
            os.kill(os.getpid(), signal.SIGKILL)


def run_to_kill(out, *callbacks):
    labels = np.arange(24) % 2
    pixels = np.stack([picture(i, (16, 16)) // 2 + 100 * labels[i] for i in range(24)])
    images = training.load_images((pixels.astype("uint8"), labels), ["dark", "bright"])
    keras.utils.set_random_seed(5)
    training.train(tiny(), images, images, out=out, seed=5, callbacks=callbacks, **RECIPE)


@trains
def test_a_killed_run_ends_like_an_unbroken_one(tmp_path):
    def run(callbacks):
        code = "import sys; sys.path.insert(0, sys.argv[1]); import test_training as t; "
        code += f"t.run_to_kill(sys.argv[2], {callbacks})"
        return subprocess.run([sys.executable, "-c", code, HERE, tmp_path / "broken"]).returncode

    run_to_kill(tmp_path / "whole")
    assert run("t.Kill()") == -signal.SIGKILL
    assert list((tmp_path / "broken" / "state").glob("epoch_00001*"))
    assert not (tmp_path / "broken" / "card.json").exists()
    [row] = read_log(tmp_path / "broken")
    assert row["epoch"] == 1 and np.isfinite(row["val_loss"])
    assert run("") == 0
    whole, resumed = tiny(), tiny()
    whole.load_weights(tmp_path / "whole" / "model.weights.h5")
    resumed.load_weights(tmp_path / "broken" / "model.weights.h5")
    for one, other in zip(whole.get_weights(), resumed.get_weights()):
        np.testing.assert_array_equal(one, other)
