"""AdamW and its learning rate, in a form that every backend can save and load."""

import math
from typing import Literal

import keras
from keras import ops

Schedule = Literal["cosine", "linear"]


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class AdamW(keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` whose `.keras` files open on every backend.

    On PyTorch, Keras 3.15 writes the name of a class that no other backend can use.
    """


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
