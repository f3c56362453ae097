"""AdamW and its learning rate, in a form that every backend can save and load."""

import math
from typing import Any, Literal

import keras
from keras import ops

Schedule = Literal["cosine", "linear"]


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class AdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with a smaller program, whose files open on every backend.

        m <- m + (1 - beta_1) (g - m)
        v <- v + (1 - beta_2) (g^2 - v)
        x <- x - rate sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon)

    Keras repeats the rate and the two powers for each variable, in TensorFlow's graph some forty
    operations. Here they are computed once per step, and the graph has half of the operations. On
    PyTorch, Keras 3.15 writes the name of a class that no other backend can use.
    """

    shared: tuple[Any, ...] = ()  # what the variables of this step share

    def apply(self, grads, trainable_variables=None):
        dtype = keras.config.floatx()
        rate, t = ops.cast(self.learning_rate, dtype), ops.cast(self.iterations + 1, dtype)
        powers = ops.power(ops.convert_to_tensor([self.beta_1, self.beta_2], dtype), t)
        step_size = rate * ops.sqrt(1 - powers[1]) / (1 - powers[0])
        constants = (1 - self.beta_1, 1 - self.beta_2, self.epsilon)
        constants = [ops.convert_to_tensor(value, dtype) for value in constants]
        self.shared = (rate, step_size, *constants)
        try:
            super().apply(grads, trainable_variables)
        finally:
            self.shared = ()

    @property
    def learning_rate(self):
        return self.shared[0] if self.shared else super().learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        keras.optimizers.AdamW.learning_rate.fset(self, learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad:
            return super().update_step(gradient, variable, learning_rate)
        dtype = variable.dtype
        _, step_size, mean, mean_of_squares, epsilon = (ops.cast(x, dtype) for x in self.shared)
        gradient = ops.cast(gradient, dtype)
        # Keras has no public name for the moments of a variable.
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * mean)
        self.assign_add(v, (ops.square(gradient) - v) * mean_of_squares)
        self.assign_sub(variable, m * step_size / (ops.sqrt(v) + epsilon))


def fastest_adamw(*args: Any, **kwargs: Any) -> keras.optimizers.AdamW:
    """An AdamW for a run: `AdamW`, but Keras's own on PyTorch.

    That one updates all variables in a few calls. Both compute the same from the same state.
    """
    is_torch = keras.backend.backend() == "torch"
    return (keras.optimizers.AdamW if is_torch else AdamW)(*args, **kwargs)


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class WarmupDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A linear warm-up from `start` to `peak`, then cosine or linear decay to `final`."""

    def __init__(
        self,
        peak: float,
        start: float,
        final: float,
        steps: int,
        warmup_steps: int,
        schedule: Schedule = "cosine",
    ):
        self.peak = peak
        self.start = start
        self.final = final
        self.steps = steps
        self.warmup_steps = warmup_steps
        self.schedule = schedule

    def __call__(self, step):
        step = ops.cast(step, "float32")
        grown = ops.minimum(step / max(1, self.warmup_steps), 1.0)
        decayed = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        decayed = ops.clip(decayed, 0.0, 1.0)
        if self.schedule == "cosine":
            decayed = 0.5 - 0.5 * ops.cos(math.pi * decayed)
        warm = self.start + (self.peak - self.start) * grown
        down = self.peak + (self.final - self.peak) * decayed
        return ops.where(step < self.warmup_steps, warm, down)

    def get_config(self):
        return {
            "peak": self.peak,
            "start": self.start,
            "final": self.final,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "schedule": self.schedule,
        }
