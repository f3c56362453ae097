"""Layer scale: a learned factor per channel on a residual branch."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class LayerScale(keras.layers.Layer):
    """Computes `gamma * x`, with `gamma` learned per channel from a small initial value.

    Args:
        initial_value: What every element of `gamma` starts at.

    Call arguments:
        inputs: Tensor `(..., C)`.

    Returns:
        Tensor of the input's shape.

    Reference: [Going deeper with Image Transformers](https://arxiv.org/abs/2103.17239), Eq. 4.

    Example:

    >>> y = LayerScale(0.5)(keras.ops.ones((1, 2)))
    >>> keras.ops.convert_to_numpy(y).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, initial_value: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.initial_value = initial_value

    def build(self, input_shape):
        self.gamma = self.add_weight(
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial_value),
            name="gamma",
        )
        self.built = True

    def call(self, inputs):
        return self.gamma * inputs

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "initial_value": self.initial_value}
