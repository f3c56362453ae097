"""Weighted Permute-MLP: Vision Permutator's mixing along the height, the width and the channels."""

import math
from typing import Any

import keras
from keras import ops

from keras_shiftmlp.kernels.dense import Dense, Product, product
from keras_shiftmlp.kernels.precision import policy_map
from keras_shiftmlp.layers.split_attention import SplitAttention


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class WeightedPermuteMLP(keras.layers.Layer):
    """The token mixing of Vision Permutator, without its normalisation and shortcut.

    Along the height, the `C` channels are cut into `H` segments of `S = C / H`. Segment `g` of all
    rows of a column is one vector of `H * S = C` values, which a dense layer mixes:

        X_H[b, i', j, (g, s')] = sum over i and s of x[b, i, j, (g, s)] W_H[(i, s), (i', s')]
        X_W[b, i, j', (g, s')] = sum over j and s of x[b, i, j, (g, s)] W_W[(j, s), (j', s')]
        X_C = x W_C
        y = SplitAttention(X_H, X_W, X_C) W_project + b

    The width has segments of its own, `W` of them. Only the projection and the split attention,
    which takes the mean over the positions, have biases. All kernels have the shape `(C, C)`
    whatever the size of the map, but their rows belong to one size: weights of another size fit,
    and are wrong.

    Args:
        kernel_initializer: Initializer of all dense kernels.
        lora_rank: As for `keras.layers.Dense`, for the six dense layers inside.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` with known `H` and `W`, which divide `C`.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If the input is not `(B, H, W, C)` or `H` or `W` does not divide `C`.

    Reference: [Vision Permutator](https://arxiv.org/abs/2106.12368), section 3.2 and Algorithm 1.

    Example:

    >>> tuple(WeightedPermuteMLP()(keras.random.normal((2, 4, 6, 24))).shape)
    (2, 4, 6, 24)
    """

    # The rows of two kernels stand for the positions.
    needs_known_size = True

    def __init__(
        self, kernel_initializer: Any = "glorot_uniform", lora_rank: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.lora_rank = lora_rank

    def build(self, input_shape):
        *_, channels = self.compute_output_shape(input_shape)
        # Keras passes these two to a layer's own weights only, not to layers inside it.
        shared = dict(dtype=self.dtype_policy, trainable=self.trainable)
        dense = dict(kernel_initializer=self.kernel_initializer, **shared)
        self.height = Dense(channels, use_bias=False, **dense, name="height")
        self.width = Dense(channels, use_bias=False, **dense, name="width")
        self.channel = Dense(channels, use_bias=False, **dense, name="channel")
        self.attention = SplitAttention(
            None, "mean", self.kernel_initializer, use_bias=True, **shared, name="attention"
        )
        self.project = Dense(channels, **dense, name="project")
        for layer in (self.height, self.width, self.channel, self.project):
            layer.build(input_shape)
        self.attention.build([input_shape] * 3)
        self.built = True
        if self.lora_rank is not None:
            self.enable_lora(self.lora_rank)

    def enable_lora(self, rank: int) -> None:
        """Freezes the dense kernels and adds an update of `rank`, as in `keras.layers.Dense`."""
        for dense in self._dense_layers():
            dense.enable_lora(rank)
        self.lora_rank = rank

    def _dense_layers(self):
        fusion = [self.attention.fc1, self.attention.fc2]
        return [self.height, self.width, self.channel, *fusion, self.project]

    def call(self, inputs):
        branches = [
            _swap(self.height(_swap(inputs, axis=1)), axis=1),
            _swap(self.width(_swap(inputs, axis=2)), axis=2),
            self.channel(inputs),
        ]
        return self.project(self.attention(branches))

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "`WeightedPermuteMLP` needs a map `(B, H, W, C)` of known size. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        _, height, width, channels = input_shape
        if channels % height or channels % width:
            raise ValueError(
                "`WeightedPermuteMLP` cuts the channels into as many segments as the map has rows "
                "or columns, so both must divide the channels. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def products(self, batch_size: int) -> list[Product]:
        rows = batch_size * math.prod(self.output.shape[1:3])
        dense = (self.height, self.width, self.channel, self.project)
        products = [product(rows, layer.kernel) for layer in dense]
        return products + self.attention.products(batch_size)

    def get_config(self):
        config = {
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "lora_rank": self.lora_rank,
        }
        sublayers = self._dense_layers() if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}


def _swap(x, axis):
    """Swaps the positions along `axis` with the segments of the channels; its own inverse."""
    _, height, width, channels = x.shape
    segments = x.shape[axis]
    order = [0, 1, 2, 3, 4]
    order[axis], order[3] = 3, axis
    # (B, H, W, C) -> (B, H, W, G, S) -> along the height (B, G, W, H, S) -> (B, G, W, H * S)
    x = ops.reshape(x, (-1, height, width, segments, channels // segments))
    return ops.reshape(ops.transpose(x, order), (-1, height, width, channels))
