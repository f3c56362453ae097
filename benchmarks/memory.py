"""Compares the memory of a training step with that of plain PyTorch's network.

    python benchmarks/memory.py

Each network and engine has its own process. A row holds what the first two training steps add to
the resident memory of the model: gradients, AdamW's moments, activations, and on JAX and TensorFlow
what compiling takes. glibc returns freed memory at once, so that only what is in use counts.
Float32, pixels of 224 x 224. The PyTorch networks are in this folder.
"""

import argparse
import os
import subprocess
import sys

import kept
from peers import CLASSES, PLAIN, data, plain_pytorch

from keras_shiftmlp.benchmark import bench


def plain_mb(name: str, batch: int) -> float:
    """What PyTorch's network needs."""
    import torch

    model = plain_pytorch(name)(classes=CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, y = map(torch.from_numpy, data(batch))
    x = x.permute(0, 3, 1, 2).contiguous()  # (B, H, W, C) -> (B, C, H, W)
    with bench.peak_memory() as peak:
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return peak["added_mb"]


def main():
    if sys.argv[1:2] == ["process"]:
        print(plain_mb(sys.argv[2], int(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(PLAIN), choices=PLAIN)
    parser.add_argument("--backends", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--batch", type=int, default=8)
    kept.add_option(parser)
    args, rows = parser.parse_args(), []
    os.environ |= {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    for name in args.models:
        command = [sys.executable, __file__, "process", name, str(args.batch)]
        theirs = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        taken = {"plain PyTorch": theirs}
        settings = {"name": name, "modes": ["train"], "batch_size": args.batch, "repeats": 1}
        for backend in args.backends:
            row = bench.run_backends([backend], [("measure", settings)])[0]
            taken[f"ours, {backend}"] = row["step_mb"]
        rows += [
            {"network": name, "engine": who, "MB": round(mb), "of plain": round(mb / theirs, 2)}
            for who, mb in taken.items()
        ]
    kept.show("memory", rows, args.keep)


if __name__ == "__main__":
    main()
