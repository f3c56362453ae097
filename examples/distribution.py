"""`keras_shiftmlp.training.train` on several devices or machines, for each framework.

    scope, options = distribution.start("data")
    with scope:
        model = ...
        train(model, images, **options, ...)

- JAX: `keras.distribution`, in one process or, with `coordinator`, in several.
- TensorFlow: `MirroredStrategy`, or `MultiWorkerMirroredStrategy` if `TF_CONFIG` is set.
- PyTorch: one process per device, started by `torchrun`. Keras's `fit` never calls the forward pass
  of a `DistributedDataParallel`, so hooks on the parameters average the gradients.

Import it before Keras.
"""

import contextlib
import os

if "LOCAL_RANK" in os.environ:
    # Each process of torchrun sees one GPU, so none of its threads uses another one.
    seen, rank = os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["LOCAL_RANK"]
    os.environ["CUDA_VISIBLE_DEVICES"] = seen.split(",")[int(rank)] if seen else rank

import keras


def start(kind, coordinator=None, processes=1, process_id=0):
    """Returns a context to build and train in, and keyword arguments for `train`.

    Args:
        kind: `"none"`, `"data"` (each device gets a share of the batch) or `"model"` (each device
            holds a slice of the wide layers; JAX, one process).
        coordinator: JAX in several processes: `host:port` of the first one.
        processes, process_id: The number of processes and the index of this one.
    """
    if kind == "none":
        return contextlib.nullcontext(), {}
    backend = keras.backend.backend()
    if backend == "jax":
        return _jax(kind, coordinator, processes, process_id)
    if kind == "model" or processes > 1:
        raise SystemExit(f"--distribute model and --processes need JAX. Received: {backend}")
    return {"tensorflow": _tensorflow, "torch": _torch}[backend]()


def _jax(kind, coordinator, processes, process_id):
    if processes > 1 and kind == "model":
        raise SystemExit("--distribute model splits weights over the devices of one process only.")
    if processes > 1:
        keras.distribution.initialize(coordinator, processes, process_id)
    devices = keras.distribution.list_devices()
    if kind == "data":
        strategy = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
        return strategy.scope(), {"shard": (process_id, processes)}
    mesh = keras.distribution.DeviceMesh((1, len(devices)), ("batch", "model"), devices)
    layouts = keras.distribution.LayoutMap(mesh)
    # The hidden layer of each channel MLP is split; its outputs are summed over devices.
    layouts[".*channel_fc1/kernel"] = (None, "model")
    layouts[".*channel_fc1/bias"] = ("model",)
    layouts[".*channel_fc2/kernel"] = ("model", None)
    return keras.distribution.ModelParallel(layout_map=layouts).scope(), {}


def _tensorflow():
    import tensorflow as tf

    # XLA does not compile a step on several devices.
    options = {"jit_compile": False}
    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        cluster = strategy.cluster_resolver
        options["shard"] = (cluster.task_id, cluster.cluster_spec().num_tasks("worker"))
        if strategy.num_replicas_in_sync != options["shard"][1]:
            raise SystemExit("With TF_CONFIG, start one worker per GPU (CUDA_VISIBLE_DEVICES).")
        # The batches are those of this worker; Keras would split them over all workers again.
        strategy.experimental_distribute_dataset = lambda dataset: dataset
        # Keras passes an axis to average over, but losses are scalars.
        reduce = strategy.reduce
        strategy.reduce = lambda how, value, axis=None: reduce(how, value, axis=None)
    else:
        strategy = tf.distribute.MirroredStrategy()
    replicas = strategy.num_replicas_in_sync

    class SumThenClip(keras.callbacks.Callback):
        """Clips the gradient of the whole batch. Keras clips per replica and then sums."""

        def on_train_begin(self, logs=None):
            optimizer = self.model.optimizer
            apply = optimizer.apply
            if optimizer.global_clipnorm is None:
                return
            optimizer.global_clipnorm /= replicas

            def summed(gradients, variables):
                gradients = tf.distribute.get_replica_context().all_reduce("SUM", gradients)
                apply([gradient / replicas for gradient in gradients], variables)

            optimizer.apply = summed

    return strategy.scope(), {**options, "callbacks": [SumThenClip()]}


def _torch():
    import torch
    import torch.distributed as dist

    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    rank, world = dist.get_rank(), dist.get_world_size()

    def average(parameter):
        dist.all_reduce(parameter.grad)
        parameter.grad /= world

    class Average(keras.callbacks.Callback):
        """Keeps initial weights, gradients and logs equal on all ranks."""

        def on_train_begin(self, logs=None):
            for variable in self.model.weights:
                dist.broadcast(variable.value.data, 0)
            for variable in self.model.trainable_variables:
                variable.value.register_post_accumulate_grad_hook(average)

        def on_epoch_end(self, epoch, logs=None):
            device = self.model.weights[0].value.device
            values = torch.tensor([float(value) for value in logs.values()], device=device)
            dist.all_reduce(values)
            logs.update(zip(logs, (values / world).tolist()))
            if any(name.startswith("val_") for name in logs):
                # The metrics hold the evaluation, in which sample weights differ between ranks.
                for metric in self.model.metrics:
                    for variable in metric.variables:
                        dist.all_reduce(variable.value.data)
                results = self.model.get_metrics_result()
                logs.update({f"val_{name}": float(value) for name, value in results.items()})

    return contextlib.nullcontext(), {"shard": (rank, world), "callbacks": [Average()]}
