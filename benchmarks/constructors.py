"""Seconds that a constructor takes with random weights, the median of several calls.

    python benchmarks/constructors.py
    python benchmarks/constructors.py --models MSMLPTiny --backends numpy --repeats 9

Each backend has its own process; its first call, which also loads the libraries, does not count.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import kept


def measure(models: list[str], repeats: int) -> dict[str, float]:
    """The seconds of each constructor on this process's backend."""
    import keras_shiftmlp

    keras_shiftmlp.MixerNano(weights=None)
    found = {}
    for name in models:
        seconds = []
        for _ in range(repeats):
            started = time.perf_counter()
            keras_shiftmlp.get_model(name, weights=None)
            seconds.append(time.perf_counter() - started)
        found[name] = statistics.median(seconds)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["MixerH14", "MSMLPBase"])
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    kept.add_option(parser)
    args = parser.parse_args()
    if args.alone:
        print(json.dumps(measure(args.models, args.repeats)))
        return
    rows = [{"model": name} for name in args.models]
    for backend in args.backends:
        options = ["--models", *args.models, "--repeats", str(args.repeats), "--alone"]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run(
            [sys.executable, __file__, *options],
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        for row in rows:
            row[backend] = round(found[row["model"]], 2)
    kept.show("constructors", rows, args.keep)


if __name__ == "__main__":
    main()
