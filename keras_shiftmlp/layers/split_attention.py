"""Split attention: weighs several branches against each other, channel by channel."""

import functools
from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_shiftmlp.kernels.dense import Dense, Product, product
from keras_shiftmlp.kernels.gelu import gelu
from keras_shiftmlp.kernels.initializers import initializers
from keras_shiftmlp.kernels.precision import full_precision, policy_map

Pooling = Literal["sum", "mean"]
POOLINGS = get_args(Pooling)


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class SplitAttention(keras.layers.Layer):
    """Fuses `K` branches with channel-wise weights that sum to one over the branches.

    With branches `X_1 ... X_K`, each `(B, H, W, C)`:

        a = sum over k, h and w of X_k                        (B, C)
        z = reshape(GELU(a W_1) W_2)                          (B, K, C), index k * C + c
        y = sum over k of softmax over k (z)_k * X_k          (B, H, W, C)

    The dense layers have no biases by default. `a` is a plain sum over all positions, as in the
    paper's equation (its prose says "average"), so the weights get sharper on a larger map. With
    `pooling="mean"`, which divides by `H * W`, they do not. The two small products and the softmax
    run in float32 under half-precision policies, because a sum over a whole map can overflow.

    Args:
        hidden_dim: Width of `W_1`. `None` means `C // 4`, the width that gives the published
            parameter counts of S2-MLPv2.
        pooling: `"sum"` (the paper's equation) or `"mean"` over the positions.
        kernel_initializer: Initializer of `W_1` and `W_2`. `None` draws kernels and biases
            uniformly within `1 / sqrt(fan_in)`, PyTorch's default.
        use_bias: Whether the dense layers have biases. Vision Permutator, CycleMLP, Hire-MLP and
            Wave-MLP have them and take the mean over the positions.

    Call arguments:
        inputs: List of `K >= 2` tensors, each `(B, H, W, C)`.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: For an unknown pooling, a hidden width below 1, fewer than two branches or
            branches of different shapes.

    Reference: [S2-MLPv2](https://arxiv.org/abs/2108.01072), Eq. 3 to 6.

    Example:

    >>> branches = [keras.random.normal((2, 7, 7, 16)) for _ in range(3)]
    >>> tuple(SplitAttention()(branches).shape)
    (2, 7, 7, 16)
    """

    def __init__(
        self,
        hidden_dim: int | None = None,
        pooling: Pooling = "sum",
        kernel_initializer: Any = "glorot_uniform",
        use_bias: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if pooling not in POOLINGS:
            raise ValueError(f"`pooling` must be 'sum' or 'mean'. Received: `pooling={pooling!r}`")
        if hidden_dim is not None and hidden_dim < 1:
            raise ValueError(f"`hidden_dim` must be at least 1. Received: `{hidden_dim=}`")
        self.hidden_dim = hidden_dim
        self.pooling = pooling
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.use_bias = use_bias

    def build(self, input_shape):
        *_, channels = self.compute_output_shape(input_shape)
        hidden_dim = self.hidden_dim or max(1, channels // 4)
        # Keras passes `trainable` to a layer's own weights only, not to layers inside it.
        self.fc1 = Dense(
            hidden_dim,
            gelu,
            use_bias=self.use_bias,
            **initializers(self.kernel_initializer, channels),
            dtype=full_precision(self),
            trainable=self.trainable,
            name="fc1",
        )
        self.fc2 = Dense(
            len(input_shape) * channels,
            use_bias=self.use_bias,
            **initializers(self.kernel_initializer, hidden_dim),
            dtype=full_precision(self),
            trainable=self.trainable,
            name="fc2",
        )
        self.fc1.build((input_shape[0][0], channels))
        self.fc2.build((input_shape[0][0], hidden_dim))
        self.built = True

    def call(self, inputs):
        branches, channels = len(inputs), inputs[0].shape[-1]
        reduce = ops.sum if self.pooling == "sum" else ops.mean
        # K x (B, H, W, C) -> (B, C)
        pooled = (reduce(ops.cast(x, self.fc1.compute_dtype), axis=(1, 2)) for x in inputs)
        pooled = functools.reduce(ops.add, pooled)
        # (B, C) -> (B, K * C) -> (B, K, 1, 1, C)
        logits = ops.reshape(self.fc2(self.fc1(pooled)), (-1, branches, 1, 1, channels))
        weights = ops.cast(ops.softmax(logits, axis=1), self.compute_dtype)
        # K x (B, H, W, C) -> (B, H, W, C)
        y = weights[:, 0] * inputs[0]
        for k in range(1, branches):
            y += weights[:, k] * inputs[k]
        return y

    def compute_output_shape(self, input_shape):
        shapes = {tuple(shape) for shape in input_shape if isinstance(shape, (tuple, list))}
        if len(shapes) != 1 or len(input_shape) < 2 or len(next(iter(shapes))) != 4:
            raise ValueError(
                "`SplitAttention` needs a list of two or more maps of one shape `(B, H, W, C)`. "
                f"Received: `input_shape={input_shape}`"
            )
        return next(iter(shapes))

    def products(self, batch_size: int) -> list[Product]:
        return [product(batch_size, self.fc1.kernel), product(batch_size, self.fc2.kernel)]

    def get_config(self):
        config = {
            "hidden_dim": self.hidden_dim,
            "pooling": self.pooling,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "use_bias": self.use_bias,
        }
        sublayers = [self.fc1, self.fc2] if self.built else []
        return {**super().get_config(), **config, **policy_map(self, sublayers)}
