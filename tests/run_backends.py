"""Runs the suite once per backend, each in its own process: python tests/run_backends.py jax."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One thread a worker: PyTorch's threads wait busily for one another where cores are short.
VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # a suite compiles more than it computes
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # Else OpenVINO's converter tells its makers of each use, in a process that it forks from ours
    # while JAX may have threads: a warning, in some orders of the tests.
    "CI": "true",
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]


def main(backends):
    failed = []
    for backend in backends:
        print(f"== {backend}", flush=True)
        started = time.time()
        root = Path(__file__).parent.parent
        # For JAX: two workers and the processes that tests start compile much of the same.
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, **VARIABLES, "KERAS_BACKEND": backend}
            environment["JAX_COMPILATION_CACHE_DIR"] = cache
            if subprocess.run(PYTEST, env=environment, cwd=root).returncode:
                failed.append(backend)
        print(f"== {backend}: {time.time() - started:.0f} s", flush=True)
    if failed:
        sys.exit(f"failed on: {', '.join(failed)}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["tensorflow", "jax", "torch", "numpy", "openvino"])
