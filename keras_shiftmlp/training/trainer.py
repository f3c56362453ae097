"""`train` and `evaluate`, used by the recipes, the examples and the command line."""

import importlib.util
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Unpack

import keras
import numpy as np

from keras_shiftmlp.kernels.device import is_faster_with_xla
from keras_shiftmlp.kernels.optimizers import AdamW, Schedule
from keras_shiftmlp.models.image_model import ImageModel
from keras_shiftmlp.models.macs import count_macs
from keras_shiftmlp.programs import keep_compiled_programs
from keras_shiftmlp.training.arguments import check_arguments
from keras_shiftmlp.training.augmentation import Augmentation
from keras_shiftmlp.training.batches import evaluation_batches, training_batches
from keras_shiftmlp.training.callbacks import (
    Progress,
    Resume,
    StopAtNonFinite,
    StopEarly,
    save_weights,
    write_json,
)
from keras_shiftmlp.training.images import Images
from keras_shiftmlp.training.optimizers import OptimizerSettings, build_optimizer
from keras_shiftmlp.visualization import plot_curves


def train(
    model: keras.Model,
    images: Images,
    validation: Images | None = None,
    *,
    out: str | os.PathLike[str],
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int = 0,
    warmup_epochs: float = 0,
    warmup_steps: int | None = None,
    warmup_learning_rate: float = 0.0,
    final_learning_rate: float = 0.0,
    schedule: Schedule = "cosine",
    weight_decay: float = 0.05,
    clip_norm: float | None = None,
    ema_momentum: float | None = None,
    accumulate: int = 1,
    layer_decay: float = 1.0,
    label_smoothing: float = 0.0,
    class_weights: Literal["balanced"] | None = None,
    early_stopping: int | None = None,
    crop_fraction: float = 1.0,
    jit_compile: bool | Literal["auto"] = "auto",
    shard: tuple[int, int] = (0, 1),
    workers: int = 2,
    worker_processes: int = 0,
    tensorboard: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int | str = 0,
    on_progress: Callable[[int, int], None] | None = None,
    **augmentation: Unpack[Augmentation],
) -> dict[str, Any]:
    """Trains `model` on `images`. The same call after an interruption continues the run.

    With `ema_momentum`, evaluation uses the moving average of the weights, and the model holds the
    average at the end. A short run lowers the momentum, so that the average spans at most a tenth
    of the updates; the card has the lowered value. The statistics of BatchNormalizations are not
    averaged: they are those of the last batches. With `accumulate`, each batch counts in them.
    After a run the model has a new AdamW and is ready for `fit` and `save`. On JAX, the compiled
    programs are kept in `~/.keras/keras_shiftmlp/jax` for the next process.

    The folder `out` holds `settings.json`, `log.csv` with a row after each epoch, and `state/`
    until the end. A finished run adds `card.json`, `curves.png` (with Matplotlib) and
    `model.weights.h5`, the weights of the model alone. Repeating a finished run loads its weights
    and returns its card. All arguments are checked before the folder is made.

    Args:
        model: A model from pixels in `[0, 255]`, `(B, H, W, 3)`, to probabilities or logits
            `(B, classes)`; its stochastic depth and dtype policy are kept.
        images: The training images.
        validation: The images to evaluate on after each epoch.
        out: Folder of the run.
        epochs: Passes over the images.
        batch_size: Images per batch, over all processes.
        learning_rate, schedule, weight_decay, clip_norm, ema_momentum, accumulate, layer_decay,
            warmup_steps, warmup_learning_rate, final_learning_rate: See `build_optimizer`.
        seed: Seed of order, augmentation and stochastic depth.
        warmup_epochs: Length of the warm-up in epochs, if `warmup_steps` is `None`.
        label_smoothing: Share of the label that is spread over all classes.
        class_weights: `"balanced"` gives each class the same weight in the loss and in the
            accuracy of training, however many images it has.
        early_stopping: Stops once the loss on `validation` has not fallen for this many epochs.
        crop_fraction: Share of the height and of the width of the resized image that evaluation
            keeps; stored in the model together with the class names.
        jit_compile: As for `keras.Model.compile`; `"auto"` compiles on JAX, and on
            TensorFlow except for MS-MLP on a CPU.
        shard: `(index, count)`: the part of each batch that this process takes. All processes
            read the state in `out`; only the first one writes.
        workers, worker_processes: See `training_batches`.
        tensorboard: Whether to write logs for TensorBoard to `out/tensorboard`; Keras needs
            TensorFlow to write them, on every backend.
        callbacks: Further callbacks, called before those of the run.
        verbose: As for `keras.Model.fit`.
        on_progress: Called after each batch with the number of batches done and of all.
        **augmentation: See `training_batches`.

    Returns:
        The card: settings, parameters, history and times.

    Raises:
        ValueError: If an argument is out of its range, images and model do not fit together, a
            batch is larger than all the images, or `out` holds at least one epoch of a run of
            other settings.
        TypeError: For an unknown argument.
        FloatingPointError: If the loss is not finite, with the epoch and the batch.
        ImportError: For `tensorboard`, if one of the two packages is missing.
    """
    if tensorboard and not all(map(importlib.util.find_spec, ("tensorboard", "tensorflow"))):
        raise ImportError(
            "`tensorboard` needs two packages: pip install tensorboard tensorflow. "
            f"Received: `{tensorboard=}`"
        )
    check_arguments(
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        warmup_epochs=warmup_epochs,
        accumulate=accumulate,
        ema_momentum=ema_momentum,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
        early_stopping=early_stopping,
        crop_fraction=crop_fraction,
        jit_compile=jit_compile,
        shard=shard,
    )
    if early_stopping and validation is None:
        raise ValueError(
            f"`early_stopping` needs `validation`. Received: `{early_stopping=}`, `validation=None`"
        )
    out = Path(out)
    check_fit(model, images)
    size = image_size_of(model)
    steps = len(images) // batch_size
    if steps * epochs < accumulate:
        raise ValueError(
            f"`batch_size`, `epochs` and `accumulate` must leave one update of {len(images)} "
            f"images. Received: `batch_size={batch_size}`, `epochs={epochs}`, "
            f"`accumulate={accumulate}`"
        )
    updates = epochs * steps // accumulate
    if warmup_steps is None:
        warmup_steps = round(warmup_epochs * steps / accumulate)
    if ema_momentum is not None:
        # An average over more than a tenth of the run would still contain the initial weights.
        ema_momentum = min(ema_momentum, max(0.0, 1 - 10 / updates))
    settings = OptimizerSettings(
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        warmup_learning_rate=warmup_learning_rate,
        final_learning_rate=final_learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        ema_momentum=ema_momentum,
        accumulate=accumulate,
        layer_decay=layer_decay,
    )
    optimizer = build_optimizer(model, updates, **settings)
    card = {
        "model": model.name,
        "parameters": model.count_params(),
        "macs": count_macs(model),
        "dtype": next(layer for layer in model.layers if layer.weights).dtype_policy.name,
        "images": len(images),
        "classes": list(images.class_names),
        "epochs": epochs,
        "batch_size": batch_size,
        "seed": seed,
        **settings,
        "label_smoothing": label_smoothing,
        "crop_fraction": crop_fraction,
        **augmentation,
    }
    # Added only if they are used: a run of an earlier version has no such keys.
    options = {"class_weights": class_weights, "early_stopping": early_stopping}
    card |= {key: value for key, value in options.items() if value is not None}
    card = json.loads(json.dumps(card))  # as read from the file: tuples become lists
    check_settings(out, card)
    if keras.backend.backend() == "jax":
        keep_compiled_programs()
    writes = shard[0] == 0
    resume = Resume(out, seed, writes)
    batches = training_batches(
        images,
        size,
        batch_size=batch_size,
        seed=seed,
        start=resume.epoch * steps,
        stop=epochs * steps,
        shard=shard,
        workers=workers,
        worker_processes=worker_processes,
        **augmentation,
    )
    if class_weights == "balanced":
        counts = np.bincount(images.labels, minlength=len(images.class_names))
        weights = len(images) / np.maximum(1, counts) / len(images.class_names)
        batches = batches.map(lambda batch: (*batch, (batch[1] @ weights).astype("float32")))
    evaluation = evaluation_steps = None
    if validation:
        check_fit(model, validation)
        evaluation = evaluation_batches(
            validation,
            size,
            batch_size=batch_size,
            crop_fraction=crop_fraction,
            passes=epochs,
            shard=shard,
            workers=workers,
            worker_processes=worker_processes,
        )
        evaluation_steps = math.ceil(len(validation) / batch_size)

    # All arguments are valid. From here on the model and the folder change.
    if isinstance(model, ImageModel):
        model.class_names = images.class_names
        model.preprocessing.crop_fraction = crop_fraction
    if (out / "card.json").exists():
        model.load_weights(out / "model.weights.h5")
        return json.loads((out / "card.json").read_text())
    if writes:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "settings.json", card)
    if jit_compile == "auto":
        jit_compile = is_faster_with_xla(model)
    compiled = dict(
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=gives_logits(model), label_smoothing=label_smoothing
        ),
        jit_compile=jit_compile,
    )
    model.compile(
        optimizer,
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
        **compiled,
    )
    # `Progress` runs after the swap of the average and before the state is written.
    bar = Progress(steps, batch_size, on_progress)
    callbacks = [*callbacks, StopAtNonFinite(), bar, resume]
    if early_stopping:
        callbacks.append(StopEarly(resume, early_stopping))
    if ema_momentum is not None:
        callbacks.insert(0, keras.callbacks.SwapEMAWeights())
    if tensorboard and writes:
        callbacks.append(keras.callbacks.TensorBoard(out / "tensorboard"))
    if resume.epoch < epochs and not resume.stopped(early_stopping):
        model.fit(
            batches,
            epochs=epochs,
            initial_epoch=resume.epoch,
            steps_per_epoch=steps,
            validation_data=evaluation,
            validation_steps=evaluation_steps,
            callbacks=callbacks,
            verbose=verbose,
            shuffle=False,
        )
    card |= {
        "backend": keras.backend.backend(),
        "history": resume.history,
        "seconds": sum(row["seconds"] for row in resume.history),
        "finished": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    # Drop the optimizer of the run: Keras would save it with the weights, and a `.keras` file can't
    # store layer-wise rates.
    model.optimizer = None
    save_weights(model, out / "model.weights.h5", writes)
    optimizer = AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, metrics=["accuracy"], **compiled)
    if writes:
        if importlib.util.find_spec("matplotlib"):
            plot_curves({model.name: resume.history}, out / "curves.png")
        write_json(out / "card.json", card)  # written last: once it exists, the run is complete
        shutil.rmtree(out / "state")
    return card


def evaluate(
    model: keras.Model,
    images: Images,
    *,
    batch_size: int = 256,
    crop_fraction: float = 1.0,
    workers: int = 2,
    predictions: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Top-1, top-5 and cross-entropy of `model` on `images`, in one pass without augmentation.

    Among classes with equal scores, the lower index comes first, as with `argmax`. The
    probability of a class counts as at least 1e-7 in the cross-entropy; logits have no such bound.

    Args:
        model: A model from pixels `(B, H, W, 3)` to probabilities or logits `(B, classes)`.
        images: The evaluation images.
        batch_size: Images per batch.
        crop_fraction: Share of the height and of the width of the resized image that is kept.
        workers: Threads that prepare batches.
        predictions: Whether to return the most probable class of each image too.
        on_progress: Called after each batch with the number of images done and of all.

    Returns:
        `{"images", "top1", "top5", "loss", "seconds"}`; `top1` and `top5` are in `[0, 1]`. With
        `predictions` also `"predicted"`, the class index of each image.

    Raises:
        ValueError: If images and model do not fit together, or an argument is out of range.
    """
    check_fit(model, images)
    check_arguments(batch_size=batch_size)
    batch_size = min(batch_size, len(images))
    started = time.perf_counter()
    batches = evaluation_batches(
        images,
        image_size_of(model),
        batch_size=batch_size,
        crop_fraction=crop_fraction,
        workers=workers,
    )
    outputs = []
    for x, _, _ in batches:
        outputs.append(keras.ops.convert_to_numpy(model.predict_on_batch(x)))
        if on_progress:
            on_progress(min(len(outputs) * batch_size, len(images)), len(images))
    scores = np.concatenate(outputs)[: len(images)].astype("float64")  # (N, classes)
    if gives_logits(model):
        shifted = scores - scores.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    else:
        logs = np.log(np.maximum(scores, 1e-7))
    labels = images.labels[:, None]  # (N,) -> (N, 1)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :5]  # (N, up to 5)
    right = best == labels
    result = {
        "images": len(images),
        "top1": float(right[:, 0].mean()),
        "top5": float(right.any(1).mean()),
        "loss": float(-np.take_along_axis(logs, labels, 1).mean()),
        "seconds": time.perf_counter() - started,
    }
    return {**result, "predicted": best[:, 0].tolist()} if predictions else result


def check_settings(out: Path, settings: dict[str, Any]) -> None:
    """Raises if `out` contains at least one epoch of a run with other settings."""
    if not (out / "card.json").exists() and not any((out / "state").glob("epoch_*.weights.h5")):
        return
    found = json.loads((out / "settings.json").read_text())
    if found != settings:
        keys = [key for key in {**found, **settings} if found.get(key) != settings.get(key)]
        there = {key: found.get(key) for key in keys}
        asked = {key: settings.get(key) for key in keys}
        raise ValueError(
            f"`out` contains a run with other settings: {there} there, {asked} here. Repeat that "
            f"run with its settings, or choose another folder. Received: `out={str(out)!r}`"
        )


def gives_logits(model: keras.Model) -> bool:
    """Whether the classifier has no softmax."""
    return model.layers[-1].activation is keras.activations.linear


def check_fit(model: keras.Model, images: Images) -> None:
    """Raises `ValueError` unless the model has one output per class of the images."""
    if model.output_shape[-1] != len(images.class_names) or len(model.output_shape) != 2:
        raise ValueError(
            f"The model must have one output for each of the {len(images.class_names)} classes "
            f"of the images. Received: a model of output shape {model.output_shape}"
        )


def image_size_of(model: keras.Model) -> tuple[int, int]:
    """`(H, W)` of the images that `model` expects."""
    size = model.image_size if isinstance(model, ImageModel) else model.input_shape[1:3]
    if None in size:
        raise ValueError(
            "The model must have a known height and width, or be an `ImageModel`. "
            f"Received: a model of input shape {model.input_shape}"
        )
    return size
