"""Compares exported files with plain PyTorch's network, which PyTorch exports to ONNX.

    OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/exported.py

Each file runs in its runtime: one thread, one image of 224 pixels, and weights drawn at random. The
files take turns. OpenVINO's int8 needs the extra `quantize`, its bfloat16 a processor that computes
in it. The PyTorch networks are in this folder.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kept
import numpy as np
from peers import PLAIN, SIZE, plain_pytorch

PLAIN_ONNX = "plain PyTorch, ONNX Runtime"


def write_plain(name: str, folder: Path) -> None:
    """PyTorch's network as ONNX."""
    import torch

    model = plain_pytorch(name)().eval()
    image = torch.randn(1, 3, SIZE, SIZE)
    torch.onnx.export(model, (image,), folder / "plain.onnx", opset_version=18, dynamo=False)


def write_ours(name: str, folder: Path) -> None:
    """Our exports. Their int8 version loses accuracy, which random weights do not have."""
    import keras_shiftmlp
    from keras_shiftmlp import export

    model = keras_shiftmlp.get_model(name, weights=None)
    rng = np.random.default_rng(0)
    values = model.get_weights()
    # Ones and zeros would be folded into other constants, unlike the weights of a checkpoint.
    model.set_weights([w + 0.02 * rng.normal(size=w.shape).astype(w.dtype) for w in values])
    export.onnx(model, folder / "ours.onnx", size=SIZE)
    export.openvino(model, folder / "ours.xml", size=SIZE)
    images = rng.integers(0, 256, (16, SIZE, SIZE, 3)).astype("uint8")
    test = images[:2], np.zeros(2, int)
    export.quantize(folder / "ours.xml", folder / "int8.xml", test, images=images, max_loss=1)


def runners(folder: Path) -> dict:
    """A function of one image for each file and precision, by name."""
    import onnxruntime
    import openvino

    image = np.random.default_rng(0).uniform(0, 255, (1, SIZE, SIZE, 3)).astype("float32")
    channels_first = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    found = {}
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for who, file, x in (
        (PLAIN_ONNX, "plain.onnx", channels_first),
        ("ours, ONNX Runtime", "ours.onnx", image),
    ):
        session = onnxruntime.InferenceSession(folder / file, options)
        inputs = {session.get_inputs()[0].name: x}
        found[who] = lambda session=session, inputs=inputs: session.run(None, inputs)
    core = openvino.Core()
    files = {"f32": ("ours.xml", "f32"), "bf16": ("ours.xml", "bf16"), "int8": ("int8.xml", "f32")}
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        del files["bf16"]
    for precision, (file, hint) in files.items():
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": hint}
        compiled = core.compile_model(folder / file, "CPU", settings)
        found[f"ours, OpenVINO {precision}"] = lambda compiled=compiled: compiled(image)
    return found


def measure(name: str, folder: Path, repeats: int) -> list[dict]:
    """Milliseconds of each file: median and spread, after two images."""
    steps = runners(folder)
    times = {who: [] for who in steps}
    for _ in range(repeats + 2):
        for who, step in steps.items():
            started = time.perf_counter()
            step()
            times[who].append(1e3 * (time.perf_counter() - started))
    times = {who: taken[2:] for who, taken in times.items()}
    medians = {who: statistics.median(taken) for who, taken in times.items()}
    return [
        {
            "network": name,
            "file": who,
            "ms": round(ms, 1),
            "spread, %": round(100 * (max(times[who]) - min(times[who])) / ms),
            "of plain": round(ms / medians[PLAIN_ONNX], 2),
        }
        for who, ms in medians.items()
    ]


def main():
    if sys.argv[1:2] == ["process"]:
        what, name, folder = sys.argv[2:]
        {"plain": write_plain, "ours": write_ours}[what](name, Path(folder))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(PLAIN), choices=PLAIN)
    parser.add_argument("--repeats", type=int, default=15)
    kept.add_option(parser)
    args, rows = parser.parse_args(), []
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            for what in ("plain", "ours"):
                environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
                command = [sys.executable, __file__, "process", what, name, folder]
                subprocess.run(command, check=True, env=environment)
            rows += measure(name, Path(folder), args.repeats)
    kept.show("exported", rows, args.keep)


if __name__ == "__main__":
    main()
