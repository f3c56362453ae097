"""Measures prediction and training in bfloat16 on a GPU, within a time limit.

    python benchmarks/gpu.py --seconds 100 --out gpu.json
    python benchmarks/gpu.py --engines jax timm --models MixerS32 ResMLPS12
    python benchmarks/gpu.py --smoke                       # small images, also without a GPU
    python benchmarks/gpu.py --from-json docs/gpu_h100.json           # the tables

Each family is measured in the smallest size of its paper, on the JAX and PyTorch backends of
Keras, beside timm's networks. All have float32 weights and compute in bfloat16: `mixed_bfloat16` in
Keras, autocast in timm. Products of float32 may use TF32. Pixels, labels and results stay on the
device. A training step is forward, backward and AdamW. Weights are random.

A process holds one network. Processes build and compile in parallel. When a window of time is
over, all stop, and those that are ready are timed one by one. This repeats until the time is up.
Each row is written at once. Compiled programs stay in `--cache`. A second call with `--resume`
keeps the rows of the first and measures the others.
"""

import argparse
import contextlib
import importlib.metadata
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gpu_process import MODES, TIMM, work

# The second column of the table. The processes start in this order: the longest first.
ENGINES = {
    "jax": "Keras, JAX",
    "timm-compile": "timm, torch.compile",
    "torch": "Keras, PyTorch",
    "timm": "timm",
    "torch-compile": "Keras, torch.compile",
}
MODELS = (
    "S2MLPDeep", "S2MLPv2Small", "MSMLPTiny", "MSMLPSwinTiny", "MixerS32", "ResMLPS12", "GMLPTiny",
    "GMixer12", "ViPSmall7", "ASMLPTiny", "CycleMLPB1", "HireMLPTiny", "WaveMLPTinyDW",
    "SMLPNetTiny", "ShiftViTTinyLight", "GFNetTiny", "GFNetHTiny",
)  # fmt: skip


def all_jobs(args) -> list[dict]:
    """The processes to start, in order."""
    cache, log = Path(args.cache), str(Path(args.out).with_suffix(".log"))
    common = {
        "batch": args.batch,
        "pixels": args.pixels,
        "product_side": args.product_side,
        "row_seconds": args.row_seconds,
        "kernels": False,
        "log": log,
    }
    environment = {
        "OMP_NUM_THREADS": "1",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "inductor"),
        "TORCHINDUCTOR_COMPILE_THREADS": "4",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    machine = {"engine": "machine", "model": "", "modes": ["product", "copy"]}
    jobs = [{**common, **machine, "environment": environment}]
    for engine in (engine for engine in ENGINES if engine in args.engines):
        own = {**common, "engine": engine, "environment": environment.copy()}
        own["environment"]["KERAS_BACKEND"] = "jax" if engine == "jax" else "torch"
        models = [name for name in args.models if name in TIMM or not engine.startswith("timm")]
        if engine == "torch-compile":
            models = [name for name in models if name in args.compiled]
        # A process that compiles has one mode. Training takes longer, so it starts first.
        for modes in [list(MODES)] if engine in ("torch", "timm") else [["train"], ["predict"]]:
            jobs += [{**own, "model": name, "modes": modes} for name in models]
        if engine in ("torch", "jax"):
            own = {**own, "modes": ["train"], "kernels": True}
            jobs += [{**own, "model": name} for name in args.kernels if name in models]
    return jobs


def start(job: dict, context) -> None:
    job["connection"], theirs = context.Pipe()
    plain = {key: value for key, value in job.items() if key != "connection"}
    job["process"] = context.Process(target=work, args=(plain, theirs), daemon=False)
    job["process"].start()
    theirs.close()


def send_signal(job: dict, number: int) -> None:
    """Sends a signal to the process of a job and to the compilers that it started."""
    try:
        os.killpg(job["process"].pid, number)
    except ProcessLookupError:  # it has ended, or is too young to lead a group
        with contextlib.suppress(ProcessLookupError):
            os.kill(job["process"].pid, number)


def of_the_card(fact: str) -> str | None:
    """What `nvidia-smi` says of the first card; `None` without one."""
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", f"--query-gpu={fact}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]


def used_gb() -> float:
    """Memory in use on the card; zero without one."""
    return int(of_the_card("memory.used") or 0) / 1e3


def need_gb(job: dict) -> float:
    """Memory that a process takes while it prepares; only `torch.compile` trains a whole batch."""
    return 10 if job["engine"].endswith("-compile") else 2


def received(job: dict, timeout: float) -> dict:
    """The next message of a job; `done` if its process has ended or is too slow."""
    try:
        if job["connection"].poll(max(0.0, timeout)):
            return job["connection"].recv()
        reason = "no time was left"
    except (EOFError, OSError):
        reason = "the process ended"
    who = {key: job[key] for key in ("model", "engine", "modes")}
    return {"failures": {**who, "error": reason}, "done": True}


def prepare(queue: list, preparing: list, ready: list, until: float, args) -> None:
    """Starts jobs and waits until all are ready, the memory is full or the window is over."""
    context = multiprocessing.get_context("spawn")
    while time.monotonic() < until:
        room = args.memory - used_gb() - sum(need_gb(job) for job in preparing)
        while queue and len(preparing) < args.workers:
            room -= need_gb(queue[0])
            if room < 0 and (preparing or ready):
                break
            start(queue[0], context)
            preparing.append(queue.pop(0))
        if not preparing:
            return
        connections = {job["connection"]: job for job in preparing}
        for connection in multiprocessing.connection.wait(connections, timeout=0.5):
            preparing.remove(connections[connection])
            # A failure waits in the connection until `measure` reads it.
            ready.append(connections[connection])


def measure(ready: list, results: dict, until: float, args) -> None:
    """Times the ready jobs one by one, and writes each row."""
    while ready and time.monotonic() < until:
        job = ready.pop(0)
        message = received(job, 0)
        if "ready" in message:
            job["connection"].send("your turn")
            message = received(job, until - time.monotonic())
        while True:
            for key in ("rows", "kernels", "failures"):
                if key in message:
                    results[key].append(message[key])
                    report(key, message[key])
            write(results, args.out)
            if "done" in message:
                break
            message = received(job, until - time.monotonic())
        send_signal(job, signal.SIGKILL)
        job["process"].join()


def report(key: str, value: dict) -> None:
    text = {
        "rows": lambda: f"{value['ms']:9.2f} ms, spread {value['spread']:.0%}",
        "failures": lambda: value["error"][:200],
        "kernels": lambda: f"{len(value['kernels'])} kernels",
    }[key]()
    print(f"{value['model']:18} {value['engine']:13} {value.get('mode', ''):8} {text}", flush=True)


def write(results: dict, out: str) -> None:
    """Replaces the file at once, so that a kill leaves a whole one."""
    temporary = Path(f"{out}.part")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(out)


def run(args) -> dict:
    """Measures until the time is over. Returns what the file holds."""
    end = time.monotonic() + args.seconds
    packages = ("keras", "jax", "torch", "timm")
    results = {
        "device": of_the_card("name") or "CPU",
        "batch": args.batch,
        "pixels": args.pixels,
        "versions": {name: version(name) for name in packages},
        "rows": [],
        "kernels": [],
        "failures": [],
    }
    if args.resume and Path(args.out).exists():
        results = json.loads(Path(args.out).read_text()) | {"failures": []}
    known = {(row["model"], row["engine"], row["mode"], False) for row in results["rows"]}
    known |= {(row["model"], row["engine"], "train", True) for row in results["kernels"]}
    queue = [
        job
        for job in all_jobs(args)
        if not all(
            (job["model"], job["engine"], mode, job["kernels"]) in known for mode in job["modes"]
        )
    ]
    preparing, ready = [], []
    try:
        while (queue or preparing or ready) and time.monotonic() < end:
            last = end - args.reserve
            prepare(queue, preparing, ready, min(time.monotonic() + args.window, last), args)
            if not ready and time.monotonic() >= last:
                break
            for job in preparing:
                send_signal(job, signal.SIGSTOP)
            measure(ready, results, end, args)
            for job in preparing:
                send_signal(job, signal.SIGCONT)
    finally:
        for job in preparing + ready:
            send_signal(job, signal.SIGKILL)
        for job in queue + preparing + ready:
            who = {key: job[key] for key in ("model", "engine", "modes")}
            results["failures"].append({**who, "error": "not ready in time"})
        write(results, args.out)
    print(f"{len(results['rows'])} rows, {len(results['failures'])} failures: {args.out}")
    return results


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def tables(results: dict) -> str:
    """Speed by network without the disturbed rows, and the longest kernels, in Markdown."""
    from keras_shiftmlp.benchmark.tables import markdown_table

    machine = {row["mode"]: row for row in results["rows"] if row["engine"] == "machine"}
    rows = {
        (row["model"], row["engine"], row["mode"]): row
        for row in results["rows"]
        if row["engine"] in ENGINES and row["spread"] <= 0.5
    }
    macs = {row["model"]: row["macs"] for row in rows.values() if "macs" in row}
    has_timm = any(engine.startswith("timm") for _, engine, _ in rows)

    def speed(row):
        return 1e3 * results["batch"] / row["ms"]

    def cells(model, engine, mode):
        row = rows.get((model, engine, mode))
        cells = [f"{speed(row):,.0f}" if row else "–"]
        if machine:
            peak = machine["product"]["flops"] / machine["product"]["ms"] * 1e3
            # A multiply-add is two operations; training computes every product three times.
            work = 2 * macs.get(model, 0) * (3 if mode == "train" else 1)
            cells.append(f"{work * speed(row) / peak:.0%}" if row and work else "–")
        if has_timm:
            theirs = [
                speed(rows[model, other, mode])
                for other in ENGINES
                if other.startswith("timm") and (model, other, mode) in rows
            ]
            cells.append(f"{speed(row) / max(theirs):.2f} x" if row and theirs else "–")
        return [*cells, f"{row['peak_gb']:.1f}" if row and row["peak_gb"] else "–"]

    lines = [
        [model, ENGINES[engine], f"{macs[model] / 1e9:.2f}" if model in macs else "–"]
        + [cell for mode in MODES for cell in cells(model, engine, mode)]
        for model, engine in sorted(
            {key[:2] for key in rows}, key=lambda key: (key[0], list(ENGINES).index(key[1]))
        )
    ]
    head = ["network", "engine", "GMACs"]
    for mode in MODES:
        head.append(f"{mode} images/s")
        head += ["of the peak"] * bool(machine) + ["of timm"] * has_timm + ["GB"]
    used = {"keras", *(engine.partition("-")[0] for _, engine, _ in rows)}
    if "timm" in used:
        used.add("torch")
    versions = [f"{name} {text}" for name, text in results["versions"].items() if name in used]
    text = (
        f"{results['device']}, {', '.join(versions)}; batches of {results['batch']} at "
        f"{results['pixels']} pixels."
    )
    if machine:
        product, copy = machine["product"], machine["copy"]
        text += (
            " The card's product of two bfloat16 matrices reaches "
            f"{product['flops'] / product['ms'] / 1e9:.0f} TFLOP/s, its copy "
            f"{copy['bytes'] / copy['ms'] / 1e6:.0f} GB/s read and written."
        )
    parts = [text, markdown_table(head, lines, numeric=range(2, len(head)))]
    lines = [
        [found["model"], ENGINES[found["engine"]], f"`{row['kernel'][:60]}`"]
        + [f"{row['calls']:.0f}", f"{row['ms']:.2f}", f"{row['share']:.0%}"]
        for found in results["kernels"]
        for row in found["kernels"][:5]
    ]
    if lines:
        head = ["network", "engine", "kernel", "calls", "ms a training step", "share"]
        parts.append(markdown_table(head, lines, numeric=range(3, 6)))
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--models", nargs="+", default=MODELS, metavar="NAME")
    parser.add_argument("--kernels", nargs="*", default=["S2MLPv2Small", "MSMLPTiny"])
    parser.add_argument(
        "--compiled",
        nargs="*",
        default=["MixerS32", "ResMLPS12"],
        help="for torch-compile, which traces every line of Keras",
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--pixels", type=int, default=224)
    parser.add_argument("--seconds", type=float, default=100, help="for everything")
    parser.add_argument("--window", type=float, default=40, help="seconds of compiling at a time")
    parser.add_argument("--reserve", type=float, default=20, help="last seconds, for timing only")
    parser.add_argument("--row-seconds", type=float, default=0.3, help="of repeats, at least")
    parser.add_argument("--workers", type=int, default=14, help="processes that compile at a time")
    parser.add_argument("--memory", type=float, default=50, help="GB for processes that wait")
    parser.add_argument("--cache", default=str(Path(tempfile.gettempdir(), "keras_shiftmlp_gpu")))
    parser.add_argument("--out", default="gpu.json")
    parser.add_argument("--resume", action="store_true", help="keep the rows of OUT, if any")
    parser.add_argument("--smoke", action="store_true", help="two networks, two tiny images")
    parser.add_argument("--from-json", nargs="+", metavar="FILE", help="print the tables of FILEs")
    args = parser.parse_args()
    args.product_side = 8192
    if args.from_json:
        print("\n\n".join(tables(json.loads(Path(file).read_text())) for file in args.from_json))
        return
    if args.smoke:
        smoke = {"models": ["MixerS32", "MSMLPNano"], "batch": 2, "pixels": 32, "workers": 2}
        vars(args).update({**smoke, "kernels": ["MixerS32"], "product_side": 128})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    results = run(args)
    print(tables(results))


if __name__ == "__main__":
    main()
