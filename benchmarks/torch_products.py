"""Times matrix products of PyTorch on a CPU, as products and as 1 x 1 convolutions.

    python benchmarks/torch_products.py

Prints milliseconds for a batch of 8 in prediction and in training (forward and all gradients), for
the channel MLPs of S2-MLPv2-Small and the token MLP of Mixer-B/16. The two forms are timed in
turns; the result is the median of nine.
"""

import argparse
import os
import statistics
import time
from unittest import mock

os.environ["KERAS_BACKEND"] = "torch"

import kept
import torch

from keras_shiftmlp.kernels.dense import Dense
from keras_shiftmlp.layers import TokenDense

MLPS = {
    "channels, 28 x 28 x 192": ((8, 28, 28, 192), [Dense(768, activation="gelu"), Dense(192)]),
    "channels, 14 x 14 x 384": ((8, 14, 14, 384), [Dense(1536, activation="gelu"), Dense(384)]),
    "tokens, 196 x 768": ((8, 196, 768), [TokenDense(384, activation="gelu"), TokenDense(196)]),
}


def seconds(layers, x, upstream, amd):
    with mock.patch("keras_shiftmlp.kernels.device.HAS_AMD_PROCESSOR", amd):
        started = time.perf_counter()
        with torch.set_grad_enabled(upstream is not None):
            y = layers[1](layers[0](x))
            if upstream is not None:
                y.backward(upstream)
        return 1e3 * (time.perf_counter() - started)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kept.add_option(parser)
    args, rows = parser.parse_args(), []
    for name, (shape, layers) in MLPS.items():
        x = torch.randn(shape, requires_grad=True)
        for mode, upstream in {"predict": None, "train": torch.randn(shape)}.items():
            times = [
                [seconds(layers, x, upstream, amd) for amd in (False, True)] for _ in range(11)
            ]
            products, convolutions = (round(statistics.median(way), 1) for way in zip(*times[2:]))
            row = {"MLP over the": name, "mode": mode, "products, ms": products}
            rows.append({**row, "convolutions, ms": convolutions})
    kept.show("torch_products", rows, args.keep)
