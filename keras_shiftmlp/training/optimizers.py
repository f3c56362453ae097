"""AdamW with warm-up, a decaying rate, weight decay of matrices only, and layer-wise rates."""

from typing import TypedDict

import keras
from keras import ops

from keras_shiftmlp.kernels.optimizers import Schedule, WarmupDecay, fastest_adamw
from keras_shiftmlp.layers import names
from keras_shiftmlp.training.arguments import check_arguments


class OptimizerSettings(TypedDict):
    """The keyword arguments of `build_optimizer`."""

    learning_rate: float
    warmup_steps: int
    warmup_learning_rate: float
    final_learning_rate: float
    schedule: Schedule
    weight_decay: float
    clip_norm: float | None
    ema_momentum: float | None
    accumulate: int
    layer_decay: float


def build_optimizer(
    model: keras.Model,
    steps: int,
    *,
    learning_rate: float,
    warmup_steps: int = 0,
    warmup_learning_rate: float = 0.0,
    final_learning_rate: float = 0.0,
    schedule: Schedule = "cosine",
    weight_decay: float = 0.05,
    clip_norm: float | None = None,
    ema_momentum: float | None = None,
    accumulate: int = 1,
    layer_decay: float = 1.0,
) -> keras.optimizers.Optimizer:
    """AdamW for `model`, with the optimizer settings of a recipe.

    Weight decay excludes variables with one axis: biases, norms and layer scales. The layers of a
    model with `n` groups (patch embeddings and blocks from the first to the last, then the head)
    use the rate times `layer_decay ** (n - 1 - group)`.

    Args:
        model: A built model.
        steps: Updates of the whole run.
        learning_rate: Rate after the warm-up.
        warmup_steps: Updates over which the rate grows linearly.
        warmup_learning_rate: Rate that the warm-up starts from.
        final_learning_rate: Rate of the last update.
        schedule: `"cosine"` or `"linear"`, the decay after the warm-up.
        weight_decay: Decoupled weight decay, per unit of learning rate.
        clip_norm: Largest norm of the gradient over all variables together.
        ema_momentum: Momentum of the moving average of the weights, `None` for no average.
        accumulate: Batches per update.
        layer_decay: Factor between the rates of neighbouring groups, 1 for one rate.

    Raises:
        ValueError: For an argument out of its range, or `layer_decay` together with `accumulate`.
    """
    check_arguments(
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        warmup_learning_rate=warmup_learning_rate,
        final_learning_rate=final_learning_rate,
        schedule=schedule,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
        ema_momentum=ema_momentum,
        accumulate=accumulate,
        layer_decay=layer_decay,
    )
    if layer_decay != 1 and accumulate != 1:
        raise ValueError(
            "`layer_decay` clips each batch, so it can't be used with `accumulate`. "
            f"Received: `layer_decay={layer_decay}`, `accumulate={accumulate}`"
        )

    def adamw(scale, clip_norm):
        rate = WarmupDecay(
            peak=learning_rate * scale,
            start=warmup_learning_rate * scale,
            final=final_learning_rate * scale,
            steps=steps,
            warmup_steps=warmup_steps,
            schedule=schedule,
        )
        return fastest_adamw(
            rate,
            weight_decay=weight_decay,
            global_clipnorm=clip_norm,
            use_ema=ema_momentum is not None,
            ema_momentum=0.99 if ema_momentum is None else ema_momentum,
            gradient_accumulation_steps=accumulate if accumulate > 1 else None,
        )

    vectors = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
    if layer_decay == 1:
        optimizer = adamw(1.0, clip_norm)
        optimizer.exclude_from_weight_decay(var_list=vectors)
        return optimizer
    groups = layer_groups(model)
    depth = max(groups.values())
    optimizers = [adamw(layer_decay ** (depth - group), None) for group in range(depth + 1)]
    for optimizer in optimizers:
        optimizer.exclude_from_weight_decay(var_list=vectors)
    return _PerVariable(lambda variable: optimizers[groups[id(variable)]], clip_norm)


def layer_groups(model: keras.Model) -> dict[int, int]:
    """The group, counted from the input, of each trainable variable, by its `id`."""
    groups, order = {}, []
    for layer in model.layers:
        match = names.GROUP.match(layer.name)
        name = match.group() if match else "head"
        if layer.trainable_variables and name not in order:
            order.append(name)
        groups.update((id(variable), name) for variable in layer.trainable_variables)
    # A norm before the first block, or after the last one, belongs to the head.
    order.sort(key=lambda name: name == "head")
    return {variable: order.index(name) for variable, name in groups.items()}


class _PerVariable(keras.optimizers.MultiOptimizer):
    """One optimizer per group of layers; the gradient is clipped by its global norm."""

    def __init__(self, choose, clip_norm):
        super().__init__(choose)
        self.clip = clip_norm

    def apply(self, grads, trainable_variables=None):
        if self.clip is not None:
            norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads))
            scale = ops.minimum(1.0, self.clip / (norm + 1e-6))
            grads = [grad * ops.cast(scale, grad.dtype) for grad in grads]
        super().apply(grads, trainable_variables)
