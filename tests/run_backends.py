"""Runs the suite once per backend, each in its own process: python tests/run_backends.py jax."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
# One thread per worker: PyTorch's threads wait busily if there are too few cores.
VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OMP_NUM_THREADS": "1",
    # Compiling takes most of the time; the older emitters of XLA take a third of it. The parts of a
    # program would be compiled by threads that wait for the other worker.
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false "
    "--xla_cpu_parallel_codegen_split_count=1",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # With it, tf2onnx does not copy the graph before each of its passes. The copy lets it
    # go on without a pass that fails.
    "TF2ONNX_CATCH_ERRORS": "FALSE",
    # Turns off telemetry of OpenVINO's converter. It forks this process, and JAX warns of a fork
    # while it has threads, which depends on the order of the tests.
    "CI": "true",
}
WORKERS = 2
# Their compilers start a thread for each core, which would wait for the other worker. On these
# backends each worker has a core of its own.
PINNED = ("jax", "openvino")
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", str(WORKERS), "--dist", "worksteal"]


def main(backends):
    failed = []
    seconds = defaultdict(dict)  # test -> backend -> seconds
    for backend in backends:
        print(f"== {backend}", flush=True)
        started = time.time()
        # For JAX: the workers and the processes of the tests compile many equal programs.
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, **VARIABLES, "KERAS_BACKEND": backend}
            environment["JAX_COMPILATION_CACHE_DIR"] = f"{folder}/jax"
            if backend in PINNED and hasattr(os, "sched_setaffinity"):
                environment["PIN_WORKERS"] = "1"
            report = Path(folder, "report.xml")
            command = [*PYTEST, f"--junitxml={report}"]
            if subprocess.run(command, env=environment, cwd=HERE.parent).returncode:
                failed.append(backend)
            if report.exists():
                for test, taken in times(report).items():
                    seconds[test][backend] = taken
        print(f"== {backend}: {time.time() - started:.0f} s", flush=True)
    print_slowest(seconds, backends)
    print_families(seconds)
    if failed:
        sys.exit(f"failed on: {', '.join(failed)}")


def times(report):
    """The seconds of each test in a file of JUnit's format."""
    found = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        found[f"{case.get('classname')}.{case.get('name')}"] += float(case.get("time"))
    return found


def print_slowest(seconds, backends):
    """The twenty test functions that take longest, with all their parameters."""
    functions = defaultdict(Counter)
    for test, by_backend in seconds.items():
        functions[test.split("[")[0]].update(by_backend)
    print("== the slowest tests, in seconds: total", *backends)
    for test, by_backend in sorted(functions.items(), key=lambda item: -item[1].total())[:20]:
        columns = (f"{by_backend[backend]:7.1f}" for backend in backends)
        print(f"{by_backend.total():7.1f}", *columns, test)


def print_families(seconds):
    """The time of the suite that goes to tests whose file or parameter names a family."""
    names = {path.stem for path in (HERE / "families").glob("[!_]*.py")}
    # The longest name first: `ms_mlp` is a part of `ms_mlp_swin`.
    longest_first = sorted(names, key=len, reverse=True)
    families = Counter()
    for test, by_backend in seconds.items():
        family = next((name for name in longest_first if name in test), None)
        if family:
            families[family] += sum(by_backend.values())
    print("== families, in seconds of the suite over these backends")
    for family, taken in families.most_common():
        print(f"{taken / WORKERS:7.1f} {family}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tensorflow", "jax", "torch", "numpy", "openvino"])
