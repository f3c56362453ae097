"""Memory of the activations of a training step, stored or recomputed, on JAX and PyTorch.

    python benchmarks/remat.py
    python benchmarks/remat.py --model MSMLPTiny --batch-size 4 --backends jax

Compares a model with `keras_shiftmlp.rematerialize(model)`. Prints the memory that is held between
the forward pass and the gradient, the peak memory of a step, and its time in seconds. On JAX these
are the arrays that `jax.vjp` holds, without the weights, and the memory that XLA reserves for the
compiled step. On PyTorch they are the growth of the process after the forward pass and its peak.
Each row has its own process.

XLA for CPUs removes the barriers around recomputed operations and then merges most of them with the
original ones. A flag prevents that; `--merge` omits the flag.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import kept


def measure(job: dict) -> dict:
    import keras
    import numpy as np

    import keras_shiftmlp
    from keras_shiftmlp.benchmark.bench import peak_memory, resident_mb

    model = keras_shiftmlp.get_model(job["model"], weights=None)
    if job["remat"]:
        model = keras_shiftmlp.rematerialize(model)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (job["batch_size"], *model.input_shape[1:])).astype("float32")
    state = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]

    def loss(state):
        return keras.ops.sum(model.stateless_call(state, others, x, training=True)[0][:, 0])

    seconds = []
    if keras.backend.backend() == "jax":
        import jax

        _, gradient = jax.eval_shape(lambda state: jax.vjp(loss, state), state)
        kept = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(gradient))
        held = (kept - sum(x.nbytes for x in state)) / 2**20
        compiled = jax.jit(jax.grad(loss)).lower(state).compile()
        taken = compiled.memory_analysis().temp_size_in_bytes / 2**20
        step = lambda: jax.block_until_ready(compiled(state))  # noqa: E731
    else:
        held = taken = 0

        def step():
            nonlocal held, taken
            before = resident_mb()
            with peak_memory() as peak:
                value = loss(state)
                held = resident_mb() - before
                value.backward()
            taken = peak["added_mb"]
            for variable in state:
                variable.grad = None

    for _ in range(4):
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return {"held": held, "taken": taken, "seconds": statistics.median(seconds[1:])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="S2MLPv2Small")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--backends", nargs="+", default=["jax", "torch"])
    parser.add_argument("--merge", action="store_true", help="let XLA merge recomputed operations")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    kept.add_option(parser)
    args, rows = parser.parse_args(), []
    if args.job:
        print(json.dumps(measure(json.loads(args.job))))
        return
    for backend in args.backends:
        for remat in (False, True):
            job = {"model": args.model, "batch_size": args.batch_size, "remat": remat}
            command = [sys.executable, __file__, "--job", json.dumps(job)]
            # With this, glibc returns freed memory, so no step includes memory of the last one.
            environment = {
                **os.environ,
                "KERAS_BACKEND": backend,
                "MALLOC_MMAP_THRESHOLD_": "65536",
            }
            if not args.merge:
                environment["XLA_FLAGS"] = "--xla_disable_hlo_passes=cse_barrier_expander"
            done = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True
            )
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append(
                {
                    "model": f"`{args.model}`",
                    "backend": backend,
                    "activations": "recomputed" if remat else "kept",
                    "held, MB": round(found["held"]),
                    "taken, MB": round(found["taken"]),
                    "s per step": round(found["seconds"], 2),
                }
            )
    kept.show("remat", rows, args.keep)


if __name__ == "__main__":
    main()
