"""Files and unfinished runs that one backend wrote go on alike on every other.

`python tests/test_between_backends.py` writes the files of this backend anew. It is needed if an
optimizer's state changes its form, which belongs to a version; see CONTRIBUTING.md.
"""

import shutil
import sys

import keras
import numpy as np
import pytest
from cases import BACKEND, HERE, TRAINS, run, trains

import keras_shiftmlp
from keras_shiftmlp import training
from keras_shiftmlp.kernels.optimizers import AdamW

FROZEN = HERE / "frozen" / "backends"
TRAINING = ("tensorflow", "jax", "torch")
WRITERS = (*TRAINING, "numpy", "openvino")
# Measured between backends: at most 6e-6.
TOLERANCE = 1e-5
RATE = 1e-2


def build():
    """A small network with convolutions, token mixing and moving statistics."""
    model = keras_shiftmlp.SMLPNet(
        dims=(8,), depths=(1,), input_shape=(16, 24, 3), classes=4, classifier_activation=None
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(0.1 + 0.3 * rng.uniform(-0.3, 1, weight.shape))
    return model


def batch(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (24, 16, 24, 3)).astype("uint8"), np.arange(24) % 4


def next_step(model, steps):
    """Each weight after training on the second batch, one after another in one array."""
    for _ in range(steps):
        loss = model.train_on_batch(*batch(1))
    return np.concatenate([loss, *(weight.ravel() for weight in model.get_weights())], axis=None)


class Stop(keras.callbacks.Callback):
    """Interrupts a run in its second epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt


def train(out, *callbacks):
    """Trains for two epochs of six steps, or resumes the run in `out`."""
    model = build()
    card = training.train(
        model,
        training.load_images(batch(0)),
        out=out,
        epochs=2,
        batch_size=4,
        learning_rate=RATE,
        warmup_steps=2,
        clip_norm=0.1,
        ema_momentum=0.9,
        layer_decay=0.9,
        label_smoothing=0.1,
        flip=False,  # each backend draws its own flips
        jit_compile=BACKEND == "jax",
        callbacks=callbacks,
    )
    losses = [row["loss"] for row in card["history"]]
    return np.concatenate([losses, *(w.ravel() for w in model.get_weights())])


def write(folder):
    """The files of this backend, and what they lead to."""
    folder.mkdir(parents=True, exist_ok=True)
    model = build()
    model.class_names = "abcd"
    expected = {}
    if TRAINS:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = AdamW(RATE, weight_decay=0.1, clipnorm=0.1)
        model.compile(optimizer, loss, run_eagerly=True)
        next_step(model, 2)
    model.save(folder / "model.keras")
    expected["logits"] = run(model, batch(2)[0])
    if TRAINS:
        expected["next"] = next_step(model, 1)
        with pytest.raises(KeyboardInterrupt):
            train(folder / "run", Stop())
        shutil.copytree(folder / "run", folder / "finished")
        expected["run"] = train(folder / "finished")
        shutil.rmtree(folder / "finished")
    np.savez_compressed(folder / "expected.npz", **expected)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_opens_and_trains_on(writer):
    expected = np.load(FROZEN / writer / "expected.npz")
    model = keras.models.load_model(FROZEN / writer / "model.keras")
    assert model.class_names == tuple("abcd")
    np.testing.assert_allclose(run(model, batch(2)[0]), expected["logits"], atol=TOLERANCE)
    if TRAINS and writer in TRAINING:
        assert model.optimizer.iterations == 2
        model.run_eagerly = True
        np.testing.assert_allclose(next_step(model, 1), expected["next"], atol=TOLERANCE)


@trains
@pytest.mark.parametrize("writer", [writer for writer in TRAINING if writer != BACKEND])
def test_an_interrupted_run_goes_on(writer, tmp_path):
    pytest.importorskip("grain")
    shutil.copytree(FROZEN / writer / "run", tmp_path / "run")
    expected = np.load(FROZEN / writer / "expected.npz")["run"]
    np.testing.assert_allclose(train(tmp_path / "run"), expected, atol=TOLERANCE)


if __name__ == "__main__":
    sys.exit(write(FROZEN / BACKEND))
