"""The object that every constructor returns."""

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import keras

from keras_shiftmlp.layers import names
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class ImageModel(keras.Model):
    """A functional Keras model with its preprocessing, class names and feature pyramid.

    The three are stored in its layers (the `ImagePreprocessing` layer and the layers called `P2`,
    `P3`, ...), so `.keras` files, `keras.models.clone_model` and `get_config` keep them.

    Args:
        inputs: Keras tensor `(B, H, W, C)`.
        outputs: Keras tensor of the predictions, the pooled features or the feature map.
        name: Name of the model.
        **kwargs: Further arguments of `keras.Model`.
    """

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any):
        super().__init__(inputs, outputs, name=name, **kwargs)

    @property
    def preprocessing(self) -> ImagePreprocessing:
        """The layer that normalises the pixels: `mean`, `std`, `image_size`, `normalize`, ..."""
        return next(layer for layer in self.layers if isinstance(layer, ImagePreprocessing))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images in pixels.

        They are those of the input where it has them. An axis that the input leaves open has
        the side that the network was trained on, `preprocessing.image_size`.
        """
        side = self.preprocessing.image_size
        _, height, width, _ = self.input_shape
        return height or side, width or side

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name per class, `None` if unknown; saved with the model."""
        return self.preprocessing.class_names

    @class_names.setter
    def class_names(self, class_names: Sequence[str] | None):
        class_names = None if class_names is None else tuple(map(str, class_names))
        if class_names is not None:
            received = f"Received: `class_names={class_names}`"
            if self.layers[-1].name != names.HEAD:
                raise ValueError(f"A model with no classifier has no class names. {received}")
            classes = self.output_shape[-1]
            if len(class_names) != classes:
                raise ValueError(
                    f"`class_names` must name each of the {classes} classes. {received}"
                )
        self.preprocessing.class_names = class_names

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride in pixels of each stage's feature map, finest first."""
        stems = [layer.strides[0] for layer in self.layers if names.STEM.fullmatch(layer.name)]
        return tuple(itertools.accumulate(stems, operator.mul))

    @property
    def pyramid_level_inputs(self) -> dict[str, str]:
        """Layer names of the feature maps, `"P2"` for stride 4, `"P3"` for 8 and so on.

        Empty if no stride is a power of two. KerasCV's detectors read this.
        """
        levels = [layer.name for layer in self.layers if names.LEVEL.fullmatch(layer.name)]
        return {name: name for name in sorted(levels, key=lambda name: int(name[1:]))}

    @property
    def pyramid_outputs(self) -> dict[str, Any]:
        """The same levels as Keras tensors of this model. KerasHub's detectors read this."""
        return {level: self.get_layer(level).output for level in self.pyramid_level_inputs}

    def make_train_function(self, force: bool = False) -> Any:
        """Keras calls this before the first training step.

        TensorFlow traces a step twice if the first trace creates variables, so those of the
        optimizer are created here.
        """
        if self.optimizer is not None and not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def train_step(self, *args: Any, **kwargs: Any) -> Any:
        """Keras's step, with less memory on PyTorch: the last gradients are freed before it."""
        if keras.backend.backend() == "torch":
            self.zero_grad()
        return super().train_step(*args, **kwargs)


def feature_extractor(model: keras.Model, layers: Sequence[str] | None = None) -> keras.Model:
    """A model that returns several feature maps and shares the weights of `model`.

    Args:
        model: An `ImageModel`, with or without its top.
        layers: Names of the layers whose outputs to return. `None` means all pyramid levels,
            `"P2"` of stride 4, `"P3"` of stride 8 and so on.

    Returns:
        A model from the pixels to a dictionary of tensors by layer name, finest first.

    Raises:
        ValueError: For an unknown layer, or without `layers` if no stride is a power of two.

    Example:

    >>> from keras_shiftmlp import S2MLPv2
    >>> model = S2MLPv2(patch_sizes=(4, 2), dims=(16, 24), depths=(1, 1),
    ...                 input_shape=(None, None, 3))
    >>> maps = feature_extractor(model)(keras.ops.zeros((1, 64, 96, 3)))
    >>> {level: tuple(x.shape) for level, x in maps.items()}
    {'P2': (1, 16, 24, 16), 'P3': (1, 8, 12, 24)}
    """
    outputs = {layer.name: layer.output for layer in model.layers}
    chosen = list(getattr(model, "pyramid_level_inputs", {}) if layers is None else layers)
    if not chosen:
        raise ValueError(
            "A model without pyramid levels needs `layers`. Its strides are "
            f"{getattr(model, 'strides', None)}. Received: `layers={layers!r}`"
        )
    unknown = [name for name in chosen if name not in outputs]
    if unknown:
        last_block = [name for name in outputs if name.endswith("_add")][-1:]
        raise ValueError(
            f"`layers` must be names of the model's layers, such as {last_block}. "
            f"Not found: {unknown}. Received: `layers={layers!r}`"
        )
    return keras.Model(model.input, {name: outputs[name] for name in chosen})
