"""Affine: a learned scale and offset per channel, used instead of a normalisation."""

import keras


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class Affine(keras.layers.Layer):
    """Computes `alpha * x + beta`, with `alpha` and `beta` learned per channel.

    It uses no statistics, so it has no epsilon and computes the same in training and inference.
    S2-MLP-deep and ResMLP use it instead of a normalisation.

    Args:
        Only those of `keras.layers.Layer`. `alpha` starts at one and `beta` at zero.

    Call arguments:
        inputs: Tensor `(..., C)`.

    Returns:
        Tensor of the input's shape.

    Reference: [ResMLP](https://arxiv.org/abs/2105.03404), Eq. 1;
    [S2-MLP](https://arxiv.org/abs/2106.07477), section 3.5.

    Example:

    >>> tuple(Affine()(keras.ops.ones((2, 7, 7, 16))).shape)
    (2, 7, 7, 16)
    """

    def build(self, input_shape):
        channels = input_shape[-1]
        self.alpha = self.add_weight(shape=(channels,), initializer="ones", name="alpha")
        self.beta = self.add_weight(shape=(channels,), initializer="zeros", name="beta")
        self.built = True

    def call(self, inputs):
        return self.alpha * inputs + self.beta

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
