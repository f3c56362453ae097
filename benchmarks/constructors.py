"""Seconds that a constructor takes with random weights, the median of several calls.

    python benchmarks/constructors.py
    python benchmarks/constructors.py --models MSMLPTiny --backends numpy --repeats 9

Each backend has its own process; its first call, which also loads the libraries, does not count.
"""

import argparse

import kept

from keras_shiftmlp.benchmark import bench


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["MixerH14", "MSMLPBase"])
    parser.add_argument("--backends", nargs="+", default=["jax", "tensorflow", "torch"])
    parser.add_argument("--repeats", type=int, default=3)
    kept.add_option(parser)
    args = parser.parse_args()
    first = ("build", {"name": "MixerNano", "repeats": 1})
    calls = [("build", {"name": name, "repeats": args.repeats}) for name in args.models]
    rows = {name: {"model": name} for name in args.models}
    for found in bench.run_backends(args.backends, [first, *calls]):
        if found["model"] in rows:
            rows[found["model"]][found["backend"]] = round(found["build_s"], 2)
    kept.show("constructors", list(rows.values()), args.keep)


if __name__ == "__main__":
    main()
