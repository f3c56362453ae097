"""Times training steps with and without compilation: what `jit_compile="auto"` should choose.

    OMP_NUM_THREADS=1 python benchmarks/compilation.py --json docs/compilation.json
    python benchmarks/compilation.py --backends torch --models S2MLPNano     # takes minutes
    python benchmarks/compilation.py --from-json docs/compilation.json       # the table

Each network is trained in two processes of its own. The first step includes tracing and compiling.
The time of a step is the shortest of several. JAX always compiles.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

MODELS = ("MixerNano", "S2MLPNano", "S2MLPv2Nano", "MSMLPNano", "S2MLPv2Small", "MSMLPTiny")


def measure(job: dict) -> dict:
    """The first and the shortest step in seconds. Runs in a process of one backend."""
    import keras
    import numpy as np

    import keras_shiftmlp
    from keras_shiftmlp import training

    model = keras_shiftmlp.get_model(job["model"], weights=None, classes=10)
    batch = 64 if job["model"].endswith("Nano") else 8
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (batch, *model.input_shape[1:])).astype("float32")
    y = np.eye(10, dtype="float32")[rng.integers(10, size=batch)]
    optimizer = training.build_optimizer(model, 1000, learning_rate=1e-4)
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(), jit_compile=job["compiled"])
    times = []
    for _ in range(job["steps"] + 2):
        started = time.perf_counter()
        model.train_on_batch(x, y)
        times.append(time.perf_counter() - started)
    chosen = training.is_faster_with_xla(model)
    shape = {"batch": batch, "pixels": x.shape[1]}
    return {**job, **shape, "first": times[0], "step": min(times[2:]), "auto": chosen}


def table(rows: list[dict]) -> str:
    from keras_shiftmlp.benchmark.tables import markdown_table

    found = {(row["backend"], row["model"], row["compiled"]): row for row in rows}
    lines = []
    for backend, model in dict.fromkeys(key[:2] for key in found):
        plain, compiled = (found[backend, model, choice] for choice in (False, True))
        line = [backend, model, plain["pixels"], plain["batch"]]
        line += [f"{row['first']:.1f}" for row in (plain, compiled)]
        line += [f"{1e3 * row['step']:.0f}" for row in (plain, compiled)]
        lines.append([*map(str, line), "compiled" if plain["auto"] else "plain"])
    head = ["backend", "network", "pixels", "batch", "first step, plain, s", "compiled, s"]
    return markdown_table([*head, "step, plain, ms", "compiled, ms", "auto"], lines, range(2, 8))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["tensorflow"])
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--from-json", type=Path, metavar="FILE", help="print the table of FILE")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.from_json:
        print(table(json.loads(args.from_json.read_text())))
        return
    if args.job:
        print(json.dumps(measure(args.job)))
        return
    rows = []
    for backend in args.backends:
        for model in args.models:
            for compiled in (False, True):
                job = {"backend": backend, "model": model, "compiled": compiled}
                command = [
                    sys.executable,
                    __file__,
                    "--job",
                    json.dumps({**job, "steps": args.steps}),
                ]
                environment = {**os.environ, "KERAS_BACKEND": backend}
                done = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True, env=environment
                )
                rows.append(json.loads(done.stdout.splitlines()[-1]))
                print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
