"""Spatial gating unit: the token mixing of gMLP."""

from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.dense import Product
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.token_dense import TokenDense

# So small that a fresh unit multiplies by its bias, which is one.
_NEAR_ZERO = {"class_name": "RandomNormal", "config": {"stddev": 1e-6}}


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class SpatialGatingUnit(keras.layers.Layer):
    """Multiplies one half of the channels by a linear function, across the tokens, of the other.

        u = x[..., : C / 2]                                         (B, S, C / 2)
        v = norm(x[..., C / 2 :])                                   (B, S, C / 2)
        y[b, t, c] = u[b, t, c] * (sum over s of v[b, s, c] W[s, t] + b[t])

    `norm` is a LayerNormalization over the channels. `W` starts near zero and `b` at one, so that a
    fresh unit returns `u`. `W` has one row and one column per token, so it belongs to one size of
    the map.

    Args:
        norm_epsilon: Epsilon of the norm.
        lora_rank: As for `keras.layers.Dense`, for the layer across the tokens.

    Call arguments:
        inputs: Tensor `(B, S, C)` with known `S` and an even number of channels.

    Returns:
        Tensor `(B, S, C / 2)`.

    Raises:
        ValueError: If the input is not `(B, S, C)`, `S` is unknown or `C` is odd.

    Reference: [gMLP](https://arxiv.org/abs/2105.08050), Eq. 2 and 4.

    Example:

    >>> unit = SpatialGatingUnit()
    >>> y = unit(keras.ops.ones((2, 49, 16)))
    >>> tuple(y.shape), bool(keras.ops.all(y == 1))
    ((2, 49, 8), True)
    """

    needs_known_size = True

    def __init__(self, norm_epsilon: float = 1e-5, lora_rank: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.norm_epsilon = norm_epsilon
        self.lora_rank = lora_rank

    def build(self, input_shape):
        half = self.compute_output_shape(input_shape)
        # Keras passes these two to a layer's own weights only, not to layers inside it.
        shared = dict(dtype=self.dtype_policy, trainable=self.trainable)
        self.norm = keras.layers.LayerNormalization(
            epsilon=self.norm_epsilon, **shared, name="norm"
        )
        self.project = TokenDense(
            half[1],
            kernel_initializer=_NEAR_ZERO,
            bias_initializer="ones",
            **shared,
            name="project",
        )
        self.norm.build(half)
        self.project.build(half)
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank: int) -> None:
        """Freezes norm and kernel and adds an update of `rank`, as in `keras.layers.Dense`."""
        self.norm.trainable = False
        self.project.enable_lora(rank)
        self.lora_rank = rank

    def call(self, inputs):
        # (B, S, C) -> 2 x (B, S, C / 2)
        u, v = ops.split(inputs, 2, axis=-1)
        return u * self.project(self.norm(v))

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 3 or input_shape[1] is None or input_shape[2] % 2:
            raise ValueError(
                "`SpatialGatingUnit` needs `(B, S, C)` with a known number of tokens `S` and an "
                f"even number of channels `C`. Received: `input_shape={tuple(input_shape)}`"
            )
        batch, tokens, channels = input_shape
        return (batch, tokens, channels // 2)

    def products(self, batch_size: int) -> list[Product]:
        _, tokens, half = self.output.shape
        return [((tokens, tokens), (batch_size, tokens, half))]

    def get_config(self):
        config = {"norm_epsilon": self.norm_epsilon, "lora_rank": self.lora_rank}
        sublayers = [self.project] if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}
