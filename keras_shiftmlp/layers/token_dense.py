"""A dense layer across the tokens."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.dense import Product
from keras_shiftmlp.kernels.device import is_faster_as_convolution
from keras_shiftmlp.kernels.initializers import DrawnWeights
from keras_shiftmlp.layers.resample import resample_tokens


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class TokenDense(DrawnWeights, keras.layers.EinsumDense):
    """Mixes the tokens of every channel: `y[b, t, c] = sum over s of x[b, s, c] W[s, t] + b[t]`.

    An `EinsumDense` (so quantisation and LoRA work on it) that multiplies by the kernel from the
    left, without a transpose. It also avoids two faults. OpenVINO's CPU plugin (2026.4) computes
    wrong numbers for the einsum after a convolution. Keras's TensorFlow backend (3.15) adds a bias
    per token to the channels if there are as many channels as tokens.

    Args:
        tokens: Number of tokens `T` of the output.
        activation: Activation function.
        kernel_initializer: Initializer of the kernel; the bias starts at zero.

    Call arguments:
        inputs: Tensor `(B, S, C)`.

    Returns:
        Tensor `(B, T, C)`.

    Reference: [MLP-Mixer](https://arxiv.org/abs/2105.01601), Eq. 1, first line.

    Example:

    >>> tuple(TokenDense(32)(keras.ops.ones((2, 49, 16))).shape)
    (2, 32, 16)
    """

    # The kernel has one row per token, so it belongs to one image size.
    needs_known_size = True

    def __init__(
        self,
        tokens: int,
        activation: Any = None,
        kernel_initializer: Any = "lecun_normal",
        **kwargs: Any,
    ):
        # In a saved config these are known already.
        for key in ("equation", "output_shape", "bias_axes"):
            kwargs.pop(key, None)
        super().__init__(
            "bsc,st->btc",
            (tokens, None),
            activation=activation,
            bias_axes="t",
            kernel_initializer=kernel_initializer,
            **kwargs,
        )
        self.tokens = tokens

    def call(self, inputs, training=None):
        kernel, backend = self.kernel, keras.backend.backend()  # with LoRA, a sum
        batch, tokens, channels = inputs.shape
        if backend == "jax":
            # One matrix for all images, see `Dense`.
            # (B, S, C) -> (S, B * C); (T, S) (S, B * C) -> (T, B * C) -> (B, T, C)
            y = ops.reshape(ops.transpose(inputs, (1, 0, 2)), (tokens, -1))
            y = ops.reshape(ops.matmul(ops.transpose(kernel), y), (self.tokens, batch, channels))
            y = ops.transpose(y, (1, 0, 2))
        elif is_faster_as_convolution(inputs):
            # The tokens act as the channels: (B, S, C), (1, S, T) -> (B, T, C)
            y = ops.conv(inputs, kernel[None], data_format="channels_first")
        else:
            kernel = ops.transpose(kernel)
            if backend == "torch":
                # Otherwise `matmul` transposes the maps, and GELU's gradient gets slow strides.
                kernel = ops.broadcast_to(kernel, (batch, self.tokens, tokens))
            y = ops.matmul(kernel, inputs)  # (T, S) (B, S, C) -> (B, T, C)
        y += ops.convert_to_tensor(self.bias)
        return y if self.activation is None else self.activation(y)

    def products(self, batch_size: int) -> list[Product]:
        _, tokens, channels = self.input.shape
        return [((self.tokens, tokens), (batch_size, tokens, channels))]

    def compute_output_shape(self, input_shape):
        batch, _, channels = input_shape
        return (batch, self.tokens, channels)

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)

    def resample(
        self,
        name: str,
        array: np.ndarray,
        shape: tuple[int, ...],
        grid: tuple[int, int] | None,
    ) -> np.ndarray:
        """Interpolates a weight of another image size to the tokens of this layer.

        The kernel `(S, T)` sums over axis 0, so its scale follows the number of tokens. Axis 1 of
        the kernel and the bias belong to the outputs; after an activation these are hidden units,
        which have no grid. Both axes of a square kernel without an activation are tokens.

        Args:
            name: `"kernel"` or `"bias"`.
            array: The weight in the file.
            shape: Shape of the weight in this layer; that of the bias is `(T, 1)`.
            grid: Rows and columns of the tokens, `None` if unknown.

        Returns:
            The resampled array, or `array` itself if it differs in anything else than its tokens.

        Raises:
            ValueError: If the tokens in the file do not form a square.
        """
        if name == "bias" and array.ndim == 1:
            array = array[:, None]  # (T,) -> (T, 1)
        if grid is None or array.ndim != len(shape):
            return array
        linear = self.activation is keras.activations.linear
        of_tokens = {"kernel": (0, 1) if linear else (0,), "bias": (0,) if linear else ()}
        axes = [axis for axis, size in enumerate(shape) if size != array.shape[axis]]
        sizes = {array.shape[axis] for axis in axes}
        if (
            len(sizes) != 1
            or any(axis not in of_tokens.get(name, ()) for axis in axes)
            or any(shape[axis] != math.prod(grid) for axis in axes)
        ):
            return array
        for axis in axes:
            array = resample_tokens(array, axis, grid, inputs=name == "kernel" and axis == 0)
        return array

    def get_config(self):
        return {**super().get_config(), "tokens": self.tokens}
