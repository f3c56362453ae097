"""Global filter: GFNet's token mixing, a product in the frequency domain."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_shiftmlp.kernels.fourier import irfft2, rfft2
from keras_shiftmlp.kernels.initializers import initial
from keras_shiftmlp.layers.resample import resample_bicubic


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class GlobalFilter(keras.layers.Layer):
    """Multiplies the 2-D spectrum of every channel by learned complex weights.

        y = irfft2(K * rfft2(x))        over the rows and columns, K of (H, W // 2 + 1, C)

    This is a circular convolution with a kernel as large as the map. The reference code takes
    orthonormal transforms; their two factors cancel, so none appears here. The imaginary parts of
    the product in column 0 and, for an even `W`, in column `W / 2` belong to no real map. They are
    ignored, as in the reference code on a CPU.

    The transforms run in float32 (or float64) under every policy, because FFTs in half precision
    exist on few processors. OpenVINO transforms by matrix products; see `kernels.fourier`.

    Args:
        kernel_initializer: Initializer of the real and imaginary parts.

    Call arguments:
        inputs: Tensor `(B, H, W, C)` with known `H`, `W` and `C`.

    Returns:
        Tensor `(B, H, W, C)`.

    Raises:
        ValueError: If the input is not `(B, H, W, C)` of known size.

    Reference: [GFNet](https://arxiv.org/abs/2107.00645), Eq. 4 to 7 and Algorithm 1.

    Example:

    >>> layer = GlobalFilter()
    >>> tuple(layer(keras.random.normal((2, 7, 6, 16))).shape)
    (2, 7, 6, 16)
    >>> tuple(layer.complex_weight.shape)  # rows, columns, channels; real and imaginary part
    (7, 4, 16, 2)
    """

    # One weight per frequency of the map.
    needs_known_size = True

    def __init__(self, kernel_initializer: Any = "glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        _, height, width, channels = self.compute_output_shape(input_shape)
        self.complex_weight = self.add_weight(
            (height, width // 2 + 1, channels, 2),
            initial(self.kernel_initializer),
            autocast=False,
            name="complex_weight",
        )

    def call(self, inputs):
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        # (B, H, W, C) -> 2 x (B, H, W // 2 + 1, C)
        real, imaginary = rfft2(ops.cast(inputs, dtype))
        weight = ops.cast(self.complex_weight, dtype)
        a, b = weight[..., 0], weight[..., 1]  # (H, W // 2 + 1, C)
        y = irfft2(a * real - b * imaginary, a * imaginary + b * real, inputs.shape[2])
        return ops.cast(y, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "`GlobalFilter` needs a map `(B, H, W, C)` of known size. "
                f"Received: `input_shape={tuple(input_shape)}`"
            )
        return tuple(input_shape)

    def resample(
        self,
        name: str,
        array: np.ndarray,
        shape: tuple[int, ...],
        grid: tuple[int, int] | None,
    ) -> np.ndarray:
        """The weights of another image size, interpolated bicubically as in the released code.

        The lowest and the highest frequencies of both sizes coincide.

        Args:
            name: `"complex_weight"`.
            array: The weight in the file, `(H', W' // 2 + 1, C, 2)`.
            shape: Shape of the weight in this layer.
            grid: Not used: the shape says the size.

        Returns:
            The resampled array, or `array` itself if it has another number of channels.
        """
        if array.ndim != 4 or array.shape[2:] != shape[2:]:
            return array
        return resample_bicubic(array, (shape[0], shape[1]), align_corners=True)

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "kernel_initializer": initializer}
