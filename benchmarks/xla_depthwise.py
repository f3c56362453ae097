"""Times depthwise convolutions of MS-MLP-Tiny on JAX: XLA's own, and a sum of shifted maps.

    python benchmarks/xla_depthwise.py

Prints the milliseconds of a convolution, and of a convolution with its two gradients, for a batch
of 8.
"""

import argparse
import os
import time

os.environ["KERAS_BACKEND"] = "jax"

import jax
import kept
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.depthwise import depthwise_conv


def xla(x, kernel):
    return ops.depthwise_conv(x, kernel, padding="same", data_format="channels_last")


def milliseconds(function, *arrays):
    function = jax.jit(function)
    times = []
    for _ in range(8):
        started = time.perf_counter()
        jax.block_until_ready(function(*arrays))
        times.append(1e3 * (time.perf_counter() - started))
    return sorted(times[1:])[3]


def with_gradients(function):
    return jax.grad(lambda x, kernel: (function(x, kernel) ** 2).sum(), (0, 1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kept.add_option(parser)
    args, rows = parser.parse_args(), []
    rng = np.random.default_rng(0)
    columns = ["XLA", "written out", "XLA, gradients", "written out, gradients"]
    for side, channels, k in ((56, 40, 3), (56, 40, 7), (14, 154, 5)):
        shape = (8, side, side, channels)
        arrays = [rng.normal(size=s).astype("float32") for s in (shape, (k, k, channels, 1))]
        forms = [form(f) for form in (lambda f: f, with_gradients) for f in (xla, depthwise_conv)]
        times = [round(milliseconds(form, *arrays), 1) for form in forms]
        row = {"map": " x ".join(map(str, shape)), "kernel": f"{k} x {k}"}
        rows.append({**row, **dict(zip(columns, times))})
    kept.show("xla_depthwise", rows, args.keep)
