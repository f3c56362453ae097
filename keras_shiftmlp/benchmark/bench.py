"""Times models and their matrix products: `keras-shiftmlp bench`.

The products of a network, timed alone on the same backend in the same run, limit its speed. The
ratio to that limit describes the code; milliseconds mostly describe the machine.
"""

import collections
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_shiftmlp.kernels.device import is_faster_with_xla
from keras_shiftmlp.kernels.optimizers import fastest_adamw
from keras_shiftmlp.models import get_model
from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.models.macs import count_macs, count_parameters, matrix_products

MODES = ("predict", "train")
# The line with which a process of `run_backends` reports that a call is finished.
FINISHED = "measured"


def measure(
    name: str,
    modes: Sequence[str] = MODES,
    *,
    batch_size: int = 8,
    image_size: int | None = None,
    repeats: int = 5,
    dtype: str | None = None,
    jit_compile: bool | str = "auto",
) -> list[dict[str, Any]]:
    """Times a model and its matrix products in turns, on the running backend.

    Args:
        name: Constructor, such as `"S2MLPv2Small"`; random weights.
        modes: Any of `"predict"` (`predict_on_batch`) and `"train"` (`train_on_batch` with AdamW).
        batch_size: Images per batch.
        image_size: Side in pixels, the model's own by default.
        repeats: Timed rounds; each round times the model, then each product.
        dtype: Policy, such as `"mixed_bfloat16"`.
        jit_compile: As for `compile`; `"auto"` chooses the faster setting.

    Returns:
        A row per mode: `ms` per image and its `spread` (largest minus smallest, as a share of
        the median), `matmul_ms` per image, the `ratio` of the two, `gflops` per second,
        `compile_s` and `build_s`. On Linux also `peak_mb` of the process, and `step_mb`, the
        memory that its first two steps added.
    """
    backend = keras.backend.backend()
    started = time.perf_counter()
    shape = image_size and (image_size, image_size, 3)
    model = get_model(name, weights=None, input_shape=shape, dtype=dtype)
    build_s = time.perf_counter() - started
    if jit_compile == "auto":
        jit_compile = is_faster_with_xla(model)
    optimizer = fastest_adamw(1e-4)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=jit_compile)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (batch_size, *model.input_shape[1:])).astype("float32")
    y = rng.integers(0, model.output_shape[-1], batch_size)
    policy = next(layer for layer in model.layers if layer.weights).compute_dtype
    shapes = matrix_products(model, batch_size)
    rows = []
    for mode in modes:

        def step(mode=mode):
            model.predict_on_batch(x) if mode == "predict" else model.train_on_batch(x, y)

        with peak_memory() as peak:
            first = _seconds(step)
            step()
        products = {pair: _product(*pair, mode == "train", policy) for pair in shapes}
        times, limits = [], {pair: [] for pair in products}
        for _ in range(repeats):
            times.append(_seconds(step))
            for pair, run in products.items():
                limits[pair].append(_seconds(run))
        seconds = statistics.median(times)
        limit = sum(count * statistics.median(limits[pair]) for pair, count in shapes.items())
        work = 2 * count_macs(model) * batch_size * (3 if mode == "train" else 1)
        rows.append(
            {
                "model": name,
                "backend": backend,
                "mode": mode,
                "pixels": model.input_shape[1],
                "batch_size": batch_size,
                "params": count_parameters(model),
                "ms": 1e3 * seconds / batch_size,
                "spread": (max(times) - min(times)) / seconds,
                "matmul_ms": 1e3 * limit / batch_size,
                "ratio": seconds / limit,
                "gflops": work / seconds / 1e9,
                "compile_s": max(0.0, first - seconds),
                "build_s": build_s,
                "peak_mb": peak.get("mb"),
                "step_mb": peak.get("added_mb"),
            }
        )
    return rows


def profile(name: str, *, batch_size: int = 8, repeats: int = 5) -> list[dict[str, Any]]:
    """Times each layer of a forward pass alone and sums by class.

    Layers that are compiled together may share passes over memory, so the sum exceeds the time of
    the model.

    Returns:
        Rows of `model`, `backend`, `layer` (the class), `count`, and `ms` and `matmul_ms` per
        image, the slowest class first.
    """
    model = get_model(name, weights=None)
    kinds = collections.defaultdict(lambda: {"count": 0, "ms": 0.0, "matmul_ms": 0.0})
    seen = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        key = (type(layer), *(x.shape for x in inputs), layer.output.shape)
        if key not in seen:
            alone = keras.Model(layer.input, layer.output)
            data = [np.random.rand(batch_size, *x.shape[1:]).astype("float32") for x in inputs]
            step = _on_device(alone, data if len(data) > 1 else data[0])
            step()
            products = matrix_products(alone, batch_size)
            runs = {pair: _product(*pair, False, layer.compute_dtype) for pair in products}
            seen[key] = (
                statistics.median(_seconds(step) for _ in range(repeats)),
                sum(
                    products[pair] * statistics.median(_seconds(run) for _ in range(repeats))
                    for pair, run in runs.items()
                ),
            )
        kind = kinds[type(layer).__name__]
        kind["count"] += 1
        kind["ms"] += 1e3 * seen[key][0] / batch_size
        kind["matmul_ms"] += 1e3 * seen[key][1] / batch_size
    who = {"model": name, "backend": keras.backend.backend()}
    rows = [{**who, "layer": layer, **kind} for layer, kind in kinds.items()]
    return sorted(rows, key=lambda row: -row["ms"])


def run(
    models: Sequence[str],
    backends: Sequence[str],
    *,
    modes: Sequence[str] = MODES,
    batch_size: int = 8,
    repeats: int = 5,
    dtype: str | None = None,
    growth: bool = False,
    profile: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """Times models on several backends.

    Args:
        models: Constructors, such as `"S2MLPv2Small"`.
        backends: Backends of Keras; each runs in a process of its own.
        modes, batch_size, repeats, dtype: As for `measure`.
        growth: Also time `predict` at several image sizes and batch sizes.
        profile: Also time the layers, with `profile`.
        on_progress: Called after each measurement with the number done and of all.

    Returns:
        `"rows"` of `measure`; with `growth`, `"pixels"` and `"batch_size"` likewise; with
        `profile`, `"profile"`.

    Raises:
        ValueError: For an unknown model, before anything is timed.
    """
    for name in models:
        find_constructor(name)
    common = {"batch_size": batch_size, "repeats": repeats}
    timing = {**common, "modes": modes, "dtype": dtype}
    measured = [("measure", {"name": name, **timing}) for name in models]
    plan = [("rows", measured)]
    if growth:
        series = {
            "pixels": [{"image_size": side} for side in (128, 192, 256, 384, 512)],
            "batch_size": [{"batch_size": size} for size in (1, 4, 16, 64)],
        }
        # One process per call: memory that an allocator keeps would hide what the next needs.
        plan += [
            (key, [("measure", {"name": name, **timing, "modes": ["predict"], **change})])
            for key, changes in series.items()
            for name in models
            for change in changes
        ]
    if profile:
        plan.append(("profile", [("profile", {"name": name, **common}) for name in models]))
    total = sum(len(calls) for _, calls in plan) * len(backends)
    done = itertools.count(1)

    def finished():
        if on_progress:
            on_progress(next(done), total)

    results = collections.defaultdict(list)
    for key, calls in plan:
        results[key] += run_backends(backends, calls, finished)
    return dict(results)


def build(name: str, repeats: int) -> list[dict[str, Any]]:
    """One row: `build_s`, the median seconds of a constructor with random weights."""
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        get_model(name, weights=None)
        seconds.append(time.perf_counter() - started)
    row = {"model": name, "backend": keras.backend.backend()}
    return [{**row, "build_s": statistics.median(seconds)}]


def run_backends(
    backends: Sequence[str],
    calls: Sequence[tuple[str, dict[str, Any]]],
    finished: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Runs `calls`, pairs of a function of this module and its arguments, on each backend.

    Each backend has its own process, because Keras chooses its backend when it is imported.
    `finished` is called after each call.
    """
    rows = []
    for backend in backends:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "calls.json"
            path.write_text(json.dumps(calls))
            command = [sys.executable, "-m", "keras_shiftmlp.benchmark.bench", path]
            environment = {**os.environ, "KERAS_BACKEND": backend}
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, text=True
            ) as process:
                for line in process.stdout or ():
                    if line.strip() == FINISHED:
                        finished()
            if process.returncode:
                raise ChildProcessError(f"The measurement on {backend} failed; its error is above.")
            rows += json.loads(path.read_text())
    return rows


def _product(left, right, backward, dtype) -> Callable[[], None]:
    """A compiled product of two matrices; `backward` adds the two products of its gradients."""

    def transposed(x):
        return x.swapaxes(-1, -2) if hasattr(x, "swapaxes") else keras.ops.swapaxes(x, -1, -2)

    # Compiled separately: in one function they slow each other down.
    products = [lambda x, w, g: x @ w]
    if backward:
        products += [lambda x, w, g: g @ transposed(w), lambda x, w, g: transposed(x) @ g]
    shapes = (left, right, (*right[:-2], left[-2], right[-1]))
    rng = np.random.default_rng(0)
    arrays = [keras.ops.cast(rng.normal(size=shape).astype("float32"), dtype) for shape in shapes]
    runs = [_compiled(product, arrays) for product in products]

    def run_all():
        for run in runs:
            run()

    return run_all


def _compiled(function, arrays, xla=True):
    """`function` of `arrays`, compiled if the backend compiles; its result stays on the device."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        compiled = jax.jit(function)

        def run():
            jax.block_until_ready(compiled(*arrays))
    elif backend == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(function, jit_compile=xla, autograph=False)
        # Traced by itself: TensorFlow would count the calls of one line as traces of one function.
        compiled = compiled.get_concrete_function(*arrays)

        def run():
            compiled(*arrays)[..., :1, :1].numpy()  # waits
    elif backend == "torch":
        import torch

        def run():
            with torch.no_grad():
                function(*arrays)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
    else:

        def run():
            function(*arrays)

    run()
    return run


def _on_device(model, data):
    """A forward pass whose result is not copied to the host."""
    arrays = [keras.ops.convert_to_tensor(x) for x in (data if isinstance(data, list) else [data])]

    def forward(*inputs):
        return model(inputs[0] if len(inputs) == 1 else list(inputs), training=False)

    return _compiled(forward, arrays, xla=is_faster_with_xla(model))


def _seconds(function):
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def resident_mb(key: str = "VmRSS") -> float:
    """Memory of this process in MB: `"VmRSS"` now, `"VmHWM"` at most. OSError if not on Linux."""
    return int(Path("/proc/self/status").read_text().partition(f"{key}:")[2].split()[0]) / 1024


@contextlib.contextmanager
def peak_memory():
    """Measures the peak resident size inside the block, in MB, on Linux.

    Yields:
        A dict. After the block it has `mb`, and `added_mb`, the growth since its start. It stays
        empty on other systems.
    """
    peak, before = {}, None
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        before = resident_mb()
    yield peak
    if before is not None:
        peak["mb"] = resident_mb("VmHWM")
        peak["added_mb"] = peak["mb"] - before


def _main():
    path = Path(sys.argv[1])
    rows = []
    for function, arguments in json.loads(path.read_text()):
        rows += {"build": build, "measure": measure, "profile": profile}[function](**arguments)
        keras.utils.clear_session()
        sys.stdout.write(f"{FINISHED}\n")
        sys.stdout.flush()
    path.write_text(json.dumps(rows))


if __name__ == "__main__":
    _main()
