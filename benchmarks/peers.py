"""Compares the speed of our models with that of alternatives, on one machine in one run.

    python benchmarks/peers.py --json peers.json
    python benchmarks/peers.py --models MixerB16 ResMLPS24 GMLPSmall GMixer24 --backends jax torch
    python benchmarks/peers.py --from-json peers.json

The alternatives are PyTorch versions of S2-MLPv2 and MS-MLP (in this folder), timm's networks if
timm is installed, each eager and with `torch.compile`, and two networks of keras.applications on
every backend. `keras_shiftmlp.benchmark` times our models. Each backend has its own process. A
prediction step takes an array and returns an array. A training step is forward, backward and AdamW.
Weights are random.
"""

import argparse
import importlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_shiftmlp.benchmark import bench
from keras_shiftmlp.benchmark.tables import markdown_table

PLAIN = {"S2MLPv2Small": ("torch_s2_mlp_v2", "S2MLPv2"), "MSMLPTiny": ("torch_ms_mlp", "MSMLP")}
TIMM = {
    "MixerB16": "mixer_b16_224",
    "ResMLPS24": "resmlp_24_224",
    "GMLPSmall": "gmlp_s16_224",
    "GMixer24": "gmixer_24_224",
}
OURS = [*PLAIN, *TIMM]
KERAS = ["ResNet50", "ConvNeXtTiny"]
SIZE, CLASSES = 224, 1000


def plain_pytorch(name: str):
    """The constructor of the PyTorch version of our network `name`."""
    module, constructor = PLAIN[name]
    return getattr(importlib.import_module(module), constructor)


def timed(step, job: dict) -> dict:
    """Milliseconds per image: the median and spread of the steps after the first two."""
    times = []
    for _ in range(job["repeats"] + 2):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    later = times[2:]
    median = statistics.median(later)
    return {"ms": 1e3 * median / job["batch"], "spread": (max(later) - min(later)) / median}


def data(batch: int):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (batch, SIZE, SIZE, 3)).astype("float32"), np.arange(batch)


def keras_rows(job: dict) -> list[dict]:
    """Times keras.applications on the running backend."""
    import keras

    x, y = data(job["batch"])
    rows, backend = [], keras.backend.backend()
    ways = {backend: "auto"}
    if backend == "tensorflow":
        ways = {"tensorflow with XLA": True, "tensorflow": False}
    names = [name for name in KERAS if name in job["models"]]
    for name, (engine, jit_compile) in itertools.product(names, ways.items()):
        model = getattr(keras.applications, name)(weights=None)
        model.compile(
            keras.optimizers.AdamW(1e-4),
            "sparse_categorical_crossentropy",
            jit_compile=jit_compile,
        )
        steps = {
            "predict": lambda model=model: model.predict_on_batch(x),
            "train": lambda model=model: model.train_on_batch(x, y),
        }
        who = {"model": name, "engine": f"Keras, {engine}"}
        rows += [{**who, "mode": mode, **timed(step, job)} for mode, step in steps.items()]
        keras.utils.clear_session()
    return rows


def torch_models(job: dict):
    """`(name, source, constructor)` of the available PyTorch networks."""
    import torch

    for name in PLAIN:
        if name in job["models"]:
            yield name, "plain PyTorch", plain_pytorch(name)
    # timm imports torchvision, whose PyPI build refers to operators that CPU-only PyTorch lacks.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    try:
        import timm
    except ImportError:
        print("timm is not installed, so its rows are missing", file=sys.stderr)
        return
    for name, theirs in TIMM.items():
        if name in job["models"]:
            yield name, "timm", lambda theirs=theirs: timm.create_model(theirs)


def torch_rows(job: dict) -> list[dict]:
    import torch

    x, y = data(job["batch"])
    x, y = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)
    rows = []
    for name, whose, constructor in torch_models(job):
        for way in ("eager", "torch.compile"):
            model = constructor()
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
            function = model if way == "eager" else torch.compile(model)

            def predict(model=model, function=function):
                model.eval()
                with torch.no_grad():
                    function(x).softmax(1).numpy()

            def train(model=model, function=function, optimizer=optimizer):
                model.train()
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(function(x), y)
                loss.backward()
                optimizer.step()
                loss.item()

            who = {"model": name, "engine": f"{whose}, {way}"}
            for mode, step in {"predict": predict, "train": train}.items():
                rows.append({**who, "mode": mode, **timed(step, job)})
            torch.compiler.reset()
    return rows


def table(rows: list[dict]) -> str:
    """Milliseconds per image, and the ratio to our fastest backend."""
    cells = {}
    for row in rows:
        cells.setdefault((row["model"], row["engine"]), {})[row["mode"]] = row["ms"]
    head = ["network", "engine", "predict ms", "ours is", "train ms", "ours is"]
    lines = []
    for (model, engine), modes in sorted(cells.items()):
        line = [model, engine]
        for mode, ms in modes.items():
            mine = [
                other[mode]
                for (name, whose), other in cells.items()
                if name == model and whose.startswith("ours")
            ]
            line += [f"{ms:.1f}", f"{ms / min(mine):.2f} x" if mine else "–"]
        lines.append(line)
    return markdown_table(head, lines, numeric=range(2, 6))


def main():
    if sys.argv[1:2] == ["process"]:
        job = json.loads(sys.argv[2])
        rows = torch_rows(job) if job["engine"] == "pytorch" else keras_rows(job)
        Path(job["out"]).write_text(json.dumps(rows))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=[*OURS, *KERAS], choices=[*OURS, *KERAS])
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax", "torch"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    parser.add_argument("--from-json", metavar="FILE", help="print the rows of FILE")
    args = parser.parse_args()
    if args.from_json:
        rows = json.loads(Path(args.from_json).read_text())
    else:
        common = {"batch_size": args.batch, "repeats": args.repeats}
        calls = [("measure", {"name": name, **common}) for name in args.models if name in OURS]
        rows = bench.run_backends(args.backends, calls)
        rows = [{**row, "engine": f"ours, {row['backend']}"} for row in rows]
        job = {"models": args.models, "batch": args.batch, "repeats": args.repeats}
        for engine in [*args.backends, "pytorch"]:
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder, "rows.json")
                command = [sys.executable, __file__, "process"]
                command.append(json.dumps({**job, "engine": engine, "out": str(out)}))
                keras_backend = "torch" if engine == "pytorch" else engine
                environment = {**os.environ, "KERAS_BACKEND": keras_backend}
                subprocess.run(command, check=True, env=environment)
                rows += json.loads(out.read_text())
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
