"""The object that every constructor returns."""

import itertools
import operator
import re

import keras

from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class ImageModel(keras.Model):
    """A functional Keras model that knows its pixels, its classes and its feature maps.

    It is an ordinary `keras.Model` otherwise. All that it knows lives in its layers (the
    `ImagePreprocessing` layer and the layers called `P2`, `P3`, ...), so `.keras` files,
    `keras.models.clone_model` and `get_config` keep it.

    Args:
        inputs: Keras tensor `(B, H, W, C)`.
        outputs: Keras tensor of the predictions, the pooled features or the feature map.
        name: Name of the model.
        **kwargs: What `keras.Model` takes besides.
    """

    def __init__(self, inputs, outputs, name=None, **kwargs):
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
        return tuple(known or side for known in self.input_shape[1:3])

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """One name per class, or `None` where nobody has said; saved with the model."""
        return self.preprocessing.class_names

    @class_names.setter
    def class_names(self, names):
        names = None if names is None else tuple(map(str, names))
        classes = self.output_shape[-1] if self.layers[-1].name == "predictions" else None
        if names is not None and len(names) != classes:
            raise ValueError(
                f"`class_names` must name each of the {classes} classes. "
                f"Received: `class_names={names}`"
                if classes
                else "This model has no classifier. Received: `class_names`"
            )
        self.preprocessing.class_names = names

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels of the input per position of each stage's feature map, finest first."""
        stems = [layer.strides[0] for layer in self.layers if re.search(r"(^|_)stem$", layer.name)]
        return tuple(itertools.accumulate(stems, operator.mul))

    @property
    def pyramid_level_inputs(self) -> dict[str, str]:
        """Layer names of the feature maps, `"P2"` for stride 4, `"P3"` for 8 and so on.

        Empty where the strides are not powers of two. KerasCV's detectors read this.
        """
        names = [layer.name for layer in self.layers if re.fullmatch(r"P\d+", layer.name)]
        return {name: name for name in sorted(names, key=lambda name: int(name[1:]))}

    @property
    def pyramid_outputs(self) -> dict:
        """The same levels as Keras tensors of this model. KerasHub's detectors read this."""
        return {level: self.get_layer(level).output for level in self.pyramid_level_inputs}
