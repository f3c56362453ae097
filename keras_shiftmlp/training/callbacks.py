"""What a long run needs: a state to come back to, a stop at NaN, and a line per epoch."""

import csv
import io
import json
import logging
import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

logger = logging.getLogger("keras_shiftmlp")


class Resume(keras.callbacks.Callback):
    """Writes the whole state of a run after each epoch and restores it when the run is repeated.

    `keras.callbacks.BackupAndRestore` does the same in two files; a kill between the two leaves
    an epoch number that does not belong to the weights. Here the epoch is in the name, and the
    file gets its name once it is complete. Random seeds follow from the epoch, so that a run
    which was killed ends with the weights of an unbroken one. `log.csv` has a row per epoch.

    Args:
        out: Folder of the run. The state is in its subfolder `state/`.
        seed: Seed of the run.
        writes: Whether this process writes the state; of several, one does.
    """

    def __init__(self, out: str | os.PathLike[str], seed: int, writes: bool = True):
        super().__init__()
        self.out, self.seed, self.writes = Path(out), seed, writes
        self.folder = self.out / "state"
        done = sorted(self.folder.glob("epoch_*.weights.h5"))
        self.newest = done[-1] if done else None
        self.history: list[dict[str, Any]] = []
        if done:
            history = json.loads((self.folder / "history.json").read_text())
            self.history = history[: int(done[-1].name[6:11])]

    @property
    def epoch(self) -> int:
        """How many epochs are done."""
        return len(self.history)

    def on_train_begin(self, logs=None):
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.newest:
            self.model.optimizer.build(self.model.trainable_variables)
            self.model.load_weights(self.newest)
            logger.info("Resumed after epoch %d from %s.", self.epoch, self.newest)

    def on_epoch_begin(self, epoch, logs=None):
        seeds = [v for v in self.model.non_trainable_variables if "seed_generator" in v.path]
        for index, state in enumerate(seeds):
            rng = np.random.default_rng([self.seed, epoch, index])
            state.assign(rng.integers(2**31, size=state.shape).astype(state.dtype))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]):
        self.history.append({"epoch": epoch + 1, **{k: float(v) for k, v in logs.items()}})
        if self.writes:
            # History first: rows beyond the epoch in the name of the newest state are not read.
            write_json(self.folder / "history.json", self.history)
            write_csv(self.out / "log.csv", self.history)
        complete = self.folder / f"epoch_{epoch + 1:05d}.weights.h5"
        save_weights(self.model, complete, self.writes)
        if self.newest and self.writes:
            self.newest.unlink()
        self.newest = complete


class StopAtNonFinite(keras.callbacks.Callback):
    """Ends a run whose loss is no longer a number, saying where it happened."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.last = epoch, None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            broken = [v.path for v in self.model.trainable_variables if not _is_finite(v)]
            raise FloatingPointError(
                f"The loss became {loss} in epoch {self.epoch + 1}, batch {batch + 1} (mean loss "
                f"of the epoch before it: {self.last}). Weights that are not finite: "
                f"{len(broken)}{f', the first is {broken[0]}' if broken else ''}. A lower "
                "`learning_rate`, a smaller `clip_norm` or a longer warm-up may help."
            )
        self.last = loss


class Progress(keras.callbacks.Callback):
    """Log lines with images per second and the time that is left: one a minute, one an epoch.

    Args:
        steps: Batches per epoch.
        batch_size: Images per batch, over all processes.
    """

    def __init__(self, steps: int, batch_size: int):
        super().__init__()
        self.steps, self.batch_size = steps, batch_size

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.training = epoch, None
        self.started = self.logged = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]):
        now = time.perf_counter()
        if now - self.logged > 60:
            self.logged, rate = now, (batch + 1) / (now - self.started)
            done = self.epoch * self.steps + batch + 1
            logger.info(
                "Epoch %d/%d, batch %d/%d: loss %.4g, %.0f images/s, about %.0f min left",
                self.epoch + 1,
                self.params["epochs"],
                batch + 1,
                self.steps,
                logs["loss"],
                rate * self.batch_size,
                (self.params["epochs"] * self.steps - done) / rate / 60,
            )

    def on_test_begin(self, logs=None):
        self.training = time.perf_counter() - self.started

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]):
        seconds = time.perf_counter() - self.started
        logs["seconds"] = seconds
        logs["images_per_second"] = self.steps * self.batch_size / (self.training or seconds)
        shown = " ".join(f"{key} {value:.4g}" for key, value in logs.items())
        left = (self.params["epochs"] - epoch - 1) * seconds / 60
        epochs = self.params["epochs"]
        logger.info("Epoch %d/%d: %s, about %.0f min left", epoch + 1, epochs, shown, left)


def save_weights(model: keras.Model, path: Path, keep: bool = True) -> None:
    """Writes `path` in one piece. All processes call it, as JAX wants; one keeps its file."""
    with tempfile.TemporaryDirectory() as elsewhere:
        unfinished = (path.parent if keep else Path(elsewhere)) / "unfinished.weights.h5"
        model.save_weights(unfinished, overwrite=True)
        if keep:
            os.replace(unfinished, path)


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Writes `path` in one piece."""
    _write_text(path, json.dumps(content, indent=1) + "\n")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes `path` in one piece, with a column for each key of the rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list({key: None for row in rows for key in row}))
    writer.writeheader()
    writer.writerows(rows)
    _write_text(path, text.getvalue())


def _write_text(path, text):
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(text, newline="")
    os.replace(unfinished, path)


def _is_finite(variable):
    return bool(np.isfinite(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32"))).all())
