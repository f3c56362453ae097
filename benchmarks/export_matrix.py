"""Exports checkpoints from every backend in every format and runs each file in its runtime.

    python benchmarks/export_matrix.py --images cifar10/test --json matrix.json
    python benchmarks/export_matrix.py --from-json matrix.json

Prints, for each file, the largest difference of a probability from Keras on the backend of the
model, the size and the time per image in batches. Each file runs in a separate process, which has
never seen the model. If an export failed, the reason is below the table.
`--images` is a folder with one subfolder per class.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_shiftmlp.benchmark.tables import markdown_table

BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")
FORMATS = {
    "saved_model": "",
    "onnx": ".onnx",
    "openvino": ".xml",
    "litert": ".tflite",
    "pt2": ".pt2",
}


def write(job: dict) -> None:
    """Exports a model in all formats and saves its outputs. Runs in a process of one backend."""
    import keras

    import keras_shiftmlp

    folder = Path(job["folder"])
    model = keras_shiftmlp.get_model(job["model"], weights=job["weights"])
    if job["weights"] is None:
        # An initial head may be zero, which would hide errors of the layers before it.
        rng = np.random.default_rng(0)
        values = model.get_weights()
        model.set_weights([w + 0.05 * rng.normal(size=w.shape).astype(w.dtype) for w in values])
    images = keras_shiftmlp.training.load_images(job["images"])
    order = np.random.default_rng(0).permutation(len(images))[: job["batch"]]
    pixels = images.take(order).resized(model.input_shape[1]).source.astype("float32")
    if keras.backend.backend() == "openvino":
        here = keras.ops.convert_to_numpy(model(pixels))
    else:
        here = model.predict(pixels, verbose=0)
    np.savez(folder / "pixels.npz", pixels=pixels, here=here)
    reasons = {}
    for format in job["formats"]:
        try:
            path = folder / f"model{FORMATS[format]}"
            keras_shiftmlp.export.write(model, path, format, images=pixels[:8])
        except Exception as error:
            reasons[format] = f"{type(error).__name__}: {error}"
    (folder / "reasons.json").write_text(json.dumps(reasons))


def run(job: dict) -> None:
    """Runs a file in a process that has no model."""
    from keras_shiftmlp.export import load

    with np.load(job["pixels"]) as file:
        pixels, here = file["pixels"], file["here"]
    compute = load(job["path"])
    there = compute(pixels)["probabilities"]
    times = []
    for _ in range(5):
        started = time.perf_counter()
        compute(pixels)
        times.append(time.perf_counter() - started)
    row = {
        "difference": float(np.abs(there - here).max()),
        "milliseconds": 1000 * min(times) / len(pixels),
    }
    Path(job["row"]).write_text(json.dumps(row))


def process(task: str, job: dict, backend: str) -> str | None:
    """Runs `task` in a process. Returns the reason if it failed."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, __file__, task, json.dumps(job)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def size_of(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    if path.suffix == ".xml":
        files.append(path.with_suffix(".bin"))
    return sum(file.stat().st_size for file in files if file.is_file())


def measure(args) -> list[dict]:
    rows = []
    for model in args.models:
        name, _, weights = model.partition("/")
        for backend in args.backends:
            with tempfile.TemporaryDirectory() as folder:
                job = {"model": name, "weights": weights or None, "folder": folder}
                job |= {"images": args.images, "batch": args.batch, "formats": args.formats}
                failed = process("write", job, backend)
                reasons = Path(folder, "reasons.json")
                reasons = json.loads(reasons.read_text()) if not failed else {}
                for format in args.formats:
                    row = {"model": name, "backend": backend, "format": format}
                    path, done = Path(folder, f"model{FORMATS[format]}"), Path(folder, "row.json")
                    reason = failed or reasons.get(format)
                    if reason is None:
                        files = {"path": str(path), "row": str(done)}
                        files["pixels"] = str(Path(folder, "pixels.npz"))
                        reason = process("run", files, "numpy")
                    if reason is None:
                        row |= {**json.loads(done.read_text()), "bytes": size_of(path)}
                        done.unlink()
                    rows.append(row if reason is None else {**row, "reason": reason})
                    print(rows[-1], file=sys.stderr, flush=True)
    return rows


def table(rows: list[dict]) -> str:
    """The rows as a Markdown table with one line per model and backend."""
    formats = list(dict.fromkeys(row["format"] for row in rows))
    cells, reasons = {}, []
    for row in rows:
        line = cells.setdefault((row["model"], row["backend"]), {})
        if "reason" in row:
            if row["reason"] not in reasons:
                reasons.append(row["reason"])
            line[row["format"]] = f"none, see ({reasons.index(row['reason']) + 1})"
        else:
            line[row["format"]] = (
                f"{row['difference']:.0e}, {row['bytes'] / 1e6:.1f} MB, "
                f"{row['milliseconds']:.2f} ms"
            )
    lines = [
        [f"`{model}`", backend, *(line[format] for format in formats)]
        for (model, backend), line in cells.items()
    ]
    text = markdown_table(["model", "backend", *formats], lines)
    return text + "".join(f"\n\n({i + 1}) {reason}" for i, reason in enumerate(reasons))


def main():
    if sys.argv[1:2] in (["write"], ["run"]):
        {"write": write, "run": run}[sys.argv[1]](json.loads(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="folder with one subfolder per class")
    parser.add_argument(
        "--models",
        nargs="+",
        default=[
            "MixerNano/cifar10",
            "S2MLPNano/cifar10",
            "S2MLPv2Nano/cifar10",
            "MSMLPNano/cifar10",
        ],
        help="constructors, with the tag of their weights after a slash",
    )
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE as well")
    parser.add_argument("--from-json", metavar="FILE", help="print the rows of FILE")
    args = parser.parse_args()
    if args.from_json:
        rows = json.loads(Path(args.from_json).read_text())
    elif args.images:
        rows = measure(args)
    else:
        parser.error("--images or --from-json is needed")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
