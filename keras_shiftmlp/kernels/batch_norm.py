"""Batch normalisation in the form that each backend computes correctly."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, written as a scale and an offset on OpenVINO.

    OpenVINO's CPU plugin (2026.4) computes wrong numbers for its own operator after a matrix
    product. Named like its parent, see `Dense`.
    """

    def call(self, inputs, training=None, mask=None):
        if keras.backend.backend() != "openvino":
            return super().call(inputs, training=training, mask=mask)
        # In float32, as Keras normalises on the other backends.
        gamma, beta, mean, variance = (
            ops.cast(weight, "float32")
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        )
        scale = gamma * ops.rsqrt(variance + self.epsilon)
        outputs = ops.cast(inputs, "float32") * scale + (beta - mean * scale)
        return ops.cast(outputs, self.compute_dtype)
