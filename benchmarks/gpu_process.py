"""One process of `gpu.py`: builds a network, compiles its steps and times them."""

import math
import os
import statistics
import time

TIMM = {
    "MixerS32": "mixer_s32_224",
    "MixerS16": "mixer_s16_224",
    "MixerB16": "mixer_b16_224",
    "ResMLPS12": "resmlp_12_224",
    "ResMLPS24": "resmlp_24_224",
    "GMLPTiny": "gmlp_ti16_224",
    "GMLPSmall": "gmlp_s16_224",
    "GMixer12": "gmixer_12_224",
    "GMixer24": "gmixer_24_224",
}
MODES = ("predict", "train")
CLASSES = 1000


def work(job: dict, parent) -> None:
    """Prepares the steps of `job`, waits for its turn, times them and sends the rows."""
    os.setpgrp()  # signals reach the compilers that this process starts, too
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(job["environment"])
    who = {"model": job["model"], "engine": job["engine"]}
    try:
        prepare = {"jax": jax_steps, "machine": machine_steps}.get(job["engine"], torch_steps)
        found = prepare(job)
        parent.send({"ready": True})
        parent.recv()
        for mode, (step, wait, facts) in found.items():
            if job["kernels"]:
                parent.send({"kernels": {**who, "kernels": top_kernels(step, wait)}})
                continue
            row = {**who, "mode": mode, **facts, **timed(step, wait, job["row_seconds"])}
            if job["engine"] != "jax":
                row["peak_gb"] = torch_peak_gb()
            parent.send({"rows": row})
    except Exception as error:
        text = f"{type(error).__name__}: {error}"[:1000]
        parent.send({"failures": {**who, "modes": job["modes"], "error": text}})
    parent.send({"done": True})
    parent.recv()  # the parent ends this process


def timed(step, wait, seconds: float) -> dict:
    """The median time of a step, from blocks of steps that the host waits for once."""
    for _ in range(3):
        wait(step())
    started = time.perf_counter()
    wait(step())
    count = math.ceil(0.05 / (time.perf_counter() - started))
    times = []
    while len(times) < 5 or sum(times) * count < seconds:
        started = time.perf_counter()
        for _ in range(count):
            result = step()
        wait(result)
        times.append((time.perf_counter() - started) / count)
    median = statistics.median(times)
    spread = (max(times) - min(times)) / median
    return {"ms": 1e3 * median, "spread": spread, "steps": count * len(times)}


def keras_model(job: dict):
    """The network of a job, and the count of its multiply-adds."""
    import keras_shiftmlp

    model = keras_shiftmlp.get_model(
        job["model"],
        weights=None,
        input_shape=(job["pixels"], job["pixels"], 3),
        classes=CLASSES,
        classifier_activation=None,
        dtype="mixed_bfloat16",
    )
    return model, {"macs": keras_shiftmlp.count_macs(model)}


def batch(job: dict):
    """Pixels `(B, H, W, 3)` in [0, 255] and labels `(B,)`."""
    import numpy as np

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (job["batch"], job["pixels"], job["pixels"], 3))
    return pixels.astype("float32"), rng.integers(0, CLASSES, job["batch"]).astype("int32")


def jax_steps(job: dict) -> dict:
    """`(step, wait, facts)` by mode, compiled but not run."""
    if job["kernels"]:
        import torch  # noqa: F401  takes seconds, which belong here and not to the turn
    import jax
    import keras

    from keras_shiftmlp.kernels.optimizers import fastest_adamw

    model, facts = keras_model(job)
    x, y = (jax.device_put(array) for array in batch(job))
    optimizer = fastest_adamw(1e-4)
    optimizer.build(model.trainable_variables)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = [
        [variable.value for variable in group]
        for group in (model.trainable_variables, model.non_trainable_variables, optimizer.variables)
    ]

    def predict(trainable, others, x):
        return model.stateless_call(trainable, others, x, training=False)[0]

    def loss(trainable, others, x, y):
        outputs, others = model.stateless_call(trainable, others, x, training=True)
        return cross_entropy(y, outputs), others

    def train(trainable, others, state, x, y):
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(trainable, others, x, y)
        trainable, state = optimizer.stateless_apply(state, gradients, trainable)
        return [trainable, others, state], value

    found = {}
    for mode in job["modes"]:
        started = time.perf_counter()
        if mode == "predict":
            compiled = jax.jit(predict).lower(*variables[:2], x).compile()

            def step(compiled=compiled):
                return compiled(*variables[:2], x)
        else:
            compiled = jax.jit(train, donate_argnums=(0, 1, 2)).lower(*variables, x, y).compile()

            def step(compiled=compiled):
                variables[:], value = compiled(*variables, x, y)
                return value

        memory = compiled.memory_analysis()
        peak = memory.argument_size_in_bytes + memory.temp_size_in_bytes
        peak += memory.output_size_in_bytes - memory.alias_size_in_bytes
        found[mode] = (
            step,
            jax.block_until_ready,
            {
                **facts,
                "compile_s": time.perf_counter() - started,
                "peak_gb": peak / 1e9,
            },
        )
    return found


def torch_steps(job: dict) -> dict:
    """`(step, wait, facts)` by mode; prediction and compiled steps have run once."""
    import torch

    torch.set_float32_matmul_precision("high")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    build = timm_functions if job["engine"].startswith("timm") else keras_functions
    functions, facts = build(job, device)
    found = {}
    for mode in job["modes"]:
        step, compile_s = functions[mode], 0.0
        if mode == "predict" or job["engine"].endswith("compile"):
            started = time.perf_counter()
            torch_wait(step())  # also loads libraries and kernels
            compile_s = time.perf_counter() - started
        found[mode] = step, torch_wait, {**facts, "compile_s": compile_s}
    if device == "cuda":
        # Other processes need the memory until it is this one's turn.
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return found


def keras_functions(job: dict, device: str):
    """Prediction and training on the PyTorch backend, as `fit` computes them."""
    import torch

    from keras_shiftmlp.kernels.optimizers import fastest_adamw

    model, facts = keras_model(job)
    x, y = (torch.from_numpy(array).to(device) for array in batch(job))
    call = torch.compile(model) if job["engine"].endswith("compile") else model
    variables = model.trainable_variables
    optimizer = fastest_adamw(1e-4)
    optimizer.build(variables)

    def predict():
        with torch.no_grad():
            return call(x, training=False)

    def train():
        model.zero_grad()
        loss = torch.nn.functional.cross_entropy(call(x, training=True), y.long())
        loss.backward()
        gradients = [variable.value.grad for variable in variables]
        with torch.no_grad():
            optimizer.apply(gradients, variables)
        return loss

    return {"predict": predict, "train": train}, facts


def timm_functions(job: dict, device: str):
    """Prediction and training of timm's network."""
    import torch

    if device == "cpu":
        # timm imports torchvision, whose PyPI build needs operators that CPU-only PyTorch lacks.
        library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import timm

    model = timm.create_model(TIMM[job["model"]], img_size=job["pixels"], num_classes=CLASSES)
    model.to(device)
    x, y = (torch.from_numpy(array).to(device) for array in batch(job))
    x = (x / 127.5 - 1).permute(0, 3, 1, 2).contiguous()  # (B, H, W, C) -> (B, C, H, W)
    call = torch.compile(model) if job["engine"].endswith("compile") else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def predict():
        model.eval()
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            return call(x)

    def train():
        model.train()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(call(x), y.long())
        loss.backward()
        optimizer.step()
        return loss

    return {"predict": predict, "train": train}, {}


def machine_steps(job: dict) -> dict:
    """What the card can do at most: a product of two matrices, and a copy."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    side = job["product_side"]
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.randn(16 * side, side, device=device, dtype=torch.bfloat16)
    target = torch.empty_like(source)
    return {
        "product": (lambda: a @ b, torch_wait, {"flops": 2 * side**3}),
        "copy": (lambda: target.copy_(source), torch_wait, {"bytes": 4 * source.numel()}),
    }


def torch_wait(result) -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def torch_peak_gb() -> float | None:
    """The peak since the last call, in GB."""
    import torch

    if not torch.cuda.is_available():
        return None
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return peak


def top_kernels(step, wait, count: int = 12) -> list[dict]:
    """The kernels that take the most time in a step; PyTorch's profiler sees those of JAX too."""
    import torch
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    cuda = torch.cuda.is_available()
    steps, activity = 3, ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    wait(step())
    with profile(activities=[activity]) as profiler:
        for _ in range(steps):
            result = step()
        wait(result)
    found = [
        {
            "kernel": event.key,
            "calls": event.count / steps,
            "ms": (event.self_device_time_total if cuda else event.self_cpu_time_total)
            / (1e3 * steps),
        }
        for event in profiler.key_averages()
        if event.device_type == (DeviceType.CUDA if cuda else DeviceType.CPU)
    ]
    total = sum(row["ms"] for row in found)
    found.sort(key=lambda row: -row["ms"])
    return [{**row, "share": row["ms"] / total} for row in found[:count]]
