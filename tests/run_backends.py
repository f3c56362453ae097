"""Runs the suite once per backend, each in its own process: python tests/run_backends.py jax."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# One thread per worker: PyTorch's threads wait busily if there are too few cores.
VARIABLES = {
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiling takes most of the time
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    # Turns off telemetry of OpenVINO's converter. It forks this process, and JAX warns of a fork
    # while it has threads, which depends on the order of the tests.
    "CI": "true",
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]


def main(backends):
    failed = []
    for backend in backends:
        print(f"== {backend}", flush=True)
        started = time.time()
        root = Path(__file__).parent.parent
        # For JAX: the workers and the processes of the tests compile many equal programs.
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
