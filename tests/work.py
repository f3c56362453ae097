"""What a training step of each case costs, in counts that repeat exactly.

`KERAS_BACKEND=jax python tests/work.py` adds the counts of new cases to `work.json`; on PyTorch the
same. To count all cases anew, remove the file first.
"""

import json
from pathlib import Path
from unittest import mock

import keras
import numpy as np
from cases import BACKEND, MODEL_CASES

from keras_shiftmlp.kernels import device

RECORDED = Path(__file__).with_name("work.json")


def counts(case):
    """The counts of a step: forward, and the gradients of all weights. One number per kind."""
    keras.utils.set_random_seed(0)
    model = case.build()
    pixels = keras.ops.convert_to_tensor(np.zeros((2, *case.input_shape), "float32"))
    return {"jax": of_jax, "torch": of_torch}[BACKEND](model, pixels)


def of_jax(model, pixels):
    """Counts of the program that XLA compiles; its length decides the time of compilation."""
    import jax

    others = [variable.value for variable in model.non_trainable_variables]

    def loss(weights):
        return model.stateless_call(weights, others, pixels, training=True)[0][:, 0].sum()

    weights = [variable.value for variable in model.trainable_variables]
    program = jax.jit(jax.value_and_grad(loss)).lower(weights)
    cost = program.cost_analysis()
    instructions = sum(" = " in line for line in program.as_text().splitlines())
    return {
        "instructions": instructions,
        "operations": int(cost["flops"]),
        "bytes": int(cost["bytes accessed"]),
    }


def of_torch(model, pixels):
    """Calls of PyTorch's kernels, and the bytes that they allocate."""
    import torch

    weights = [variable.value for variable in model.trainable_variables]

    def step():
        loss = model(pixels, training=True)[:, 0].sum()
        torch.autograd.grad(loss, weights, allow_unused=True)

    return calls_and_bytes(step)


def calls_and_bytes(function):
    """What PyTorch does during `function()`: calls of kernels, and the bytes of new storages."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    found = {"calls": 0, "bytes": 0}

    class Count(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            results = function(*args, **(kwargs or {}))
            new, given = (
                {x.untyped_storage() for x in tree_leaves(tree) if isinstance(x, torch.Tensor)}
                for tree in (results, (args, kwargs))
            )
            known = {storage.data_ptr() for storage in given}
            found["calls"] += 1
            found["bytes"] += sum(x.nbytes() for x in new if x.data_ptr() not in known)
            return results

    # On AMD, products are convolutions, which are other kernels.
    with mock.patch.object(device, "HAS_AMD_PROCESSOR", False), Count():
        function()
    return found


if __name__ == "__main__":
    recorded = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    known = recorded.setdefault(BACKEND, {})
    known |= {name: counts(case) for name, case in MODEL_CASES.items() if name not in known}
    RECORDED.write_text(json.dumps(recorded, indent=1) + "\n")
