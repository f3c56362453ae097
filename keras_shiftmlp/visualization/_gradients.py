"""Gradients by public Keras API alone, for every backend that trains."""

import keras
import numpy as np
from keras import ops


class Offset(keras.layers.Layer):
    """Adds a weight of zeros to a batch: its gradient is the gradient with respect to the batch."""

    def build(self, input_shape):
        self.offset = self.add_weight(input_shape, "zeros")

    def call(self, inputs):
        return inputs + self.offset


class Inference(keras.Model):
    """A model that is in inference mode while it trains: nothing is dropped.

    A functional model would pass its own `training=True` on, whatever the call says (Keras 3.15).
    """

    def __init__(self, model: keras.Model):
        super().__init__()
        self.model = model

    def call(self, inputs):
        return self.model(inputs, training=False)


def gradient(
    model: keras.Model, images: np.ndarray, cotangents: np.ndarray, layer: str | None = None
) -> np.ndarray:
    """The gradient of `sum(cotangents * model(images))`, the model in inference mode.

    Keras has no function for it. But plain SGD at rate 1 subtracts the gradient from a weight, so
    one step of `train_on_batch` on an offset that starts at zero shows it. All else is frozen.

    Args:
        model: A functional model; it does not change.
        images: `(B, H, W, C)`.
        cotangents: Weights of the outputs, of the shape of `model(images)`.
        layer: Name of the layer whose output to differentiate by. `None`: the images.

    Returns:
        Array of the shape of the images, or of the layer's output.

    Raises:
        RuntimeError: On a backend that does not train.
    """
    backend = keras.backend.backend()
    if backend not in ("tensorflow", "jax", "torch"):
        raise RuntimeError(
            "Gradients need TensorFlow, JAX or PyTorch: the other backends don't train. "
            f"Received: `keras.backend.backend()={backend!r}`"
        )
    offset = Offset(dtype="float32")

    inputs = keras.Input(batch_shape=images.shape)

    def call(copy, *args, **kwargs):
        if layer is None:
            args = [offset(x) if x is inputs else x for x in args]
        outputs = copy(*args, **kwargs)
        return offset(outputs) if copy.name == layer else outputs

    copy = keras.models.clone_model(model, input_tensors=inputs, call_function=call)
    for original in (x for x in model.layers if x.weights):
        frozen = copy.get_layer(original.name)
        frozen.set_weights(original.get_weights())
        frozen.trainable = False
    step = Inference(copy)
    step.compile(
        # A rate of the batch size undoes the mean over the batch.
        optimizer=keras.optimizers.SGD(float(len(images))),
        loss=lambda v, y: ops.sum(ops.reshape(v * y, (len(images), -1)), axis=1),
        auto_scale_loss=False,
    )
    step.train_on_batch(images, cotangents)
    return -ops.convert_to_numpy(offset.offset)
