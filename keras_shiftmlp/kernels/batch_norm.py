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
        scale = self.gamma * ops.rsqrt(self.moving_variance + self.epsilon)
        return inputs * scale + (self.beta - self.moving_mean * scale)
