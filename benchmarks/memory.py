"""Compares the memory of a training step with that of plain PyTorch's network.

    python benchmarks/memory.py --json memory.json
    python benchmarks/memory.py --from-json memory.json

Each network and engine has its own process. A row holds what the first two training steps add to
the resident memory of the model: gradients, AdamW's moments, activations, and on JAX and TensorFlow
what compiling takes. glibc returns freed memory at once, so that only what is in use counts.
Float32, pixels of 224 x 224. The PyTorch networks are in this folder.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

from peers import CLASSES, PLAIN, data

from keras_shiftmlp.benchmark import bench
from keras_shiftmlp.benchmark.tables import markdown_table

PYTORCH = "plain PyTorch"


def plain(name: str, batch: int) -> dict:
    """The row of PyTorch's network."""
    import torch

    module, constructor = PLAIN[name]
    model = getattr(importlib.import_module(module), constructor)(classes=CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, y = map(torch.from_numpy, data(batch))
    x = x.permute(0, 3, 1, 2).contiguous()  # (B, H, W, C) -> (B, C, H, W)
    with bench.peak_memory() as peak:
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return {"model": name, "engine": PYTORCH, "step_mb": peak["added_mb"]}


def table(rows: list[dict]) -> str:
    theirs = {row["model"]: row["step_mb"] for row in rows if row["engine"] == PYTORCH}
    lines = [
        [row["model"], row["engine"], f"{row['step_mb']:.0f}"]
        + [f"{row['step_mb'] / theirs[row['model']]:.2f} x"]
        for row in rows
    ]
    return markdown_table(["network", "engine", "MB", "of plain"], lines, numeric=(2, 3))


def main():
    if sys.argv[1:2] == ["process"]:
        print(json.dumps(plain(sys.argv[2], int(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=list(PLAIN), choices=PLAIN)
    parser.add_argument("--backends", nargs="+", default=["torch", "jax", "tensorflow"])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    parser.add_argument("--from-json", metavar="FILE", help="print the rows of FILE")
    args = parser.parse_args()
    if args.from_json:
        rows = json.loads(Path(args.from_json).read_text())
    else:
        rows = []
        os.environ |= {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
        for name in args.models:
            command = [sys.executable, __file__, "process", name, str(args.batch)]
            found = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append(json.loads(found.stdout))
            settings = {"name": name, "modes": ["train"], "batch_size": args.batch, "repeats": 1}
            for backend in args.backends:
                row = bench.run_backends([backend], [("measure", settings)])[0]
                rows.append(
                    {"model": name, "engine": f"ours, {backend}", "step_mb": row["step_mb"]}
                )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
