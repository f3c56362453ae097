"""Callbacks of a run: resumption, a stop at NaN, and log lines."""

import csv
import io
import json
import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

logger = logging.getLogger("keras_shiftmlp")


class Resume(keras.callbacks.Callback):
    """Writes the whole state of a run after each epoch and restores it when the run is repeated.

    `keras.callbacks.BackupAndRestore` does the same in two files; an interruption between
    the two leaves an epoch number that does not belong to the weights. Here the epoch is part of
    the file name, and a file gets its name only when it is complete. Random seeds are derived from
    the epoch, so a resumed run ends with the weights of an uninterrupted one. `log.csv` has a row
    per epoch.

    Args:
        out: Folder of the run. The state is in its subfolder `state/`.
        seed: Seed of the run.
        writes: Whether this process writes the state. Of several processes, one does.
    """

    def __init__(self, out: str | os.PathLike[str], seed: int, writes: bool):
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
        """Number of finished epochs."""
        return len(self.history)

    def stopped(self, patience: int | None) -> bool:
        """Whether the validation loss has not fallen for `patience` epochs."""
        if patience is None or not self.history:
            return False
        lowest = int(np.argmin([row["val_loss"] for row in self.history]))
        return self.epoch - 1 - lowest >= patience

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


class StopEarly(keras.callbacks.Callback):
    """Stops a run by its whole history, so that a resumed run stops at the same epoch.

    `keras.callbacks.EarlyStopping` forgets what it has seen before an interruption.

    Args:
        resume: The callback that keeps the history; it is called before this one.
        patience: Epochs without a lower validation loss.
    """

    def __init__(self, resume: Resume, patience: int):
        super().__init__()
        self.resume, self.patience = resume, patience

    def on_epoch_end(self, epoch, logs=None):
        if self.resume.stopped(self.patience):
            logger.info("The validation loss has not fallen for %d epochs.", self.patience)
            self.model.stop_training = True


class StopAtNonFinite(keras.callbacks.Callback):
    """Stops a run at the first loss that is not finite, and names the epoch and batch."""

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
    """Logs images per second and the remaining time, every minute and after every epoch.

    Args:
        steps: Batches per epoch.
        batch_size: Images per batch, over all processes.
        on_progress: Called after each batch with the number of batches done and of all.
    """

    def __init__(
        self,
        steps: int,
        batch_size: int,
        on_progress: Callable[[int, int], None] | None = None,
    ):
        super().__init__()
        self.steps, self.batch_size, self.on_progress = steps, batch_size, on_progress

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.training = epoch, None
        self.started = self.logged = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]):
        done = self.epoch * self.steps + batch + 1
        if self.on_progress:
            self.on_progress(done, self.params["epochs"] * self.steps)
        now = time.perf_counter()
        if now - self.logged > 60:
            self.logged, rate = now, (batch + 1) / (now - self.started)
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
    """Writes `path` atomically. JAX needs all processes to call this; one keeps its file."""
    with tempfile.TemporaryDirectory() as elsewhere:
        unfinished = (path.parent if keep else Path(elsewhere)) / "unfinished.weights.h5"
        model.save_weights(unfinished, overwrite=True)
        if keep:
            os.replace(unfinished, path)


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Writes `path` atomically."""
    _write_text(path, json.dumps(content, indent=1) + "\n")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes `path` atomically, with a column for each key of the rows."""
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
