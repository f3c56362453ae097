"""From photos of any size to the pixels that a network takes."""

import math
from typing import Any

import keras
import keras_hub

from keras_shiftmlp.keras_hub.presets import PRESETS, checkpoint
from keras_shiftmlp.layers.image_preprocessing import ImagePreprocessing


class _ResizingAndCrop(keras.layers.Resizing):
    """The resize and crop of `keras_shiftmlp.eval_transform`, in float and on tensors."""

    def __init__(self, crop_fraction: float, **kwargs: Any):
        super().__init__(**kwargs)
        self.crop_fraction = crop_fraction

    def transform_images(self, images, transformation=None, training=True):
        # Inside `tf.data` this is TensorFlow, whichever backend computes the model.
        ops = self.backend.numpy
        images = self.backend.cast(images, "float32")
        if self.crop_to_aspect_ratio:
            images = self._cover_and_crop(images)
        else:
            images = super().transform_images(images)
        # Cubic interpolation exceeds the range at edges. Pillow clips as well.
        return ops.clip(images, 0.0, 255.0)

    def _cover_and_crop(self, images):
        ops = self.backend.numpy
        batch, height, width, channels = self.backend.shape(images)
        least_height = math.floor(self.height / self.crop_fraction)
        least_width = math.floor(self.width / self.crop_fraction)
        # As in torchvision, one side is exact and the other is rounded down.
        size = least_width * height // width, least_height * width // height
        if all(isinstance(side, int) for side in size):
            rows, columns = max(size[0], least_height), max(size[1], least_width)
        else:  # the size is known when the graph runs
            rows, columns = ops.maximum(size[0], least_height), ops.maximum(size[1], least_width)
        images = self.backend.image.resize(
            images,
            size=(rows, columns),
            interpolation=self.interpolation,
            antialias=self.antialias,
            data_format=self.data_format,
        )
        upper, left = _half(rows - self.height), _half(columns - self.width)
        images = images[:, upper : upper + self.height, left : left + self.width]
        return ops.reshape(images, (batch, self.height, self.width, channels))


def _half(difference):
    """Half of an integer, rounded to the even neighbour as by Python's `round`."""
    half = difference // 2
    return (difference + half % 2) // 2


@keras.saving.register_keras_serializable(package="keras_shiftmlp", name="HubImageConverter")
class ImageConverter(keras_hub.layers.ImageConverter):
    """Prepares photos of any size as a checkpoint was evaluated.

    The photo is resized, with its aspect ratio, until it covers `image_size / crop_fraction`. The
    central `image_size` is cut out, and `scale` and `offset` normalise the pixels. The result is
    that of `keras_shiftmlp.eval_transform` within the rounding of 8-bit pixels.

    Args:
        image_size: `(H, W)` of the results. `None` keeps the size of the photos.
        crop_fraction: Centre-crop fraction. It has no effect without `crop_to_aspect_ratio`.
        interpolation: `"bicubic"` or `"bilinear"`.
        antialias: Whether to smooth photos that become smaller.
        dtype: Dtype policy, float32 by default under any global policy.
        **kwargs: Arguments of `keras_hub.layers.ImageConverter`, such as `scale` and `offset`.

    Call arguments:
        inputs: Pixels in `[0, 255]`, `(B, H, W, C)` or `(H, W, C)`, or a list of such images of
            different sizes.

    Returns:
        Float32 pixels `(B, H, W, C)` or `(H, W, C)`.

    Raises:
        ValueError: If `crop_fraction` is not in (0, 1], or for boxes or masks, which are not moved.

    Example:

    >>> import numpy as np
    >>> converter = ImageConverter.from_preset("ms_mlp_tiny_imagenet")
    >>> tuple(converter(np.zeros((2, 300, 500, 3), "uint8")).shape)
    (2, 224, 224, 3)
    """

    presets = PRESETS

    def __init__(
        self,
        image_size: tuple[int, int] | None = None,
        crop_fraction: float = 1.0,
        interpolation: str = "bicubic",
        antialias: bool = True,
        dtype: Any = "float32",
        **kwargs: Any,
    ):
        if not 0 < crop_fraction <= 1:
            raise ValueError(
                f"`crop_fraction` must be in (0, 1]. Received: `crop_fraction={crop_fraction!r}`"
            )
        super().__init__(
            image_size=image_size,
            interpolation=interpolation,
            antialias=antialias,
            data_format="channels_last",
            dtype=dtype,
            **kwargs,
        )
        self.crop_fraction = crop_fraction
        self.resizing = _ResizingAndCrop(crop_fraction, **self.resizing.get_config())

    def call(self, inputs):
        if isinstance(inputs, dict) and set(inputs) != {"images"}:
            raise ValueError(
                "The crop applies to images only; boxes and masks would not fit. "
                f"Received: `inputs` with the keys {sorted(inputs)}"
            )
        images = super().call(inputs)
        # A list of photos of different sizes gives a list of images of one size.
        is_batch = isinstance(images, list | tuple) and self.image_size is not None
        return keras.ops.stack(images) if is_batch else images

    def get_config(self):
        return {**super().get_config(), "crop_fraction": self.crop_fraction}

    @classmethod
    def from_preprocessing(
        cls, preprocessing: ImagePreprocessing, image_size: tuple[int, int], **kwargs: Any
    ) -> "ImageConverter":
        """The converter for a model with this preprocessing.

        Args:
            preprocessing: Such as `model.preprocessing`. If it normalises the pixels, the
                converter does not.
            image_size: Such as `model.image_size`.
            **kwargs: Arguments of the converter that differ.
        """
        arguments: dict[str, Any] = dict(
            image_size=image_size,
            crop_fraction=preprocessing.crop_fraction,
            interpolation=preprocessing.interpolation,
        )
        if not preprocessing.normalize:
            mean, std = preprocessing.mean, preprocessing.std
            arguments["scale"] = [1 / (255 * x) for x in std]
            arguments["offset"] = [-x / y for x, y in zip(mean, std)]
        return cls(**{**arguments, **kwargs})

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> "ImageConverter":
        """As in KerasHub; `preset` may also be a key of `presets`."""
        if preset not in PRESETS:
            return super().from_preset(preset, **kwargs)
        facts = checkpoint(preset)
        preprocessing = ImagePreprocessing(**facts["preprocessing"], normalize=False)
        return cls.from_preprocessing(preprocessing, (facts["image_size"],) * 2, **kwargs)


@keras.saving.register_keras_serializable(
    package="keras_shiftmlp", name="HubImageClassifierPreprocessor"
)
class ImageClassifierPreprocessor(keras_hub.models.ImageClassifierPreprocessor):
    """Applies an `ImageConverter` to the photos and passes labels and weights through.

    Example:

    >>> import numpy as np
    >>> preprocessor = ImageClassifierPreprocessor.from_preset("mixer_nano_cifar10")
    >>> image, label = preprocessor(np.zeros((60, 80, 3), "uint8"), 4)
    >>> tuple(image.shape)
    (32, 32, 3)
    """

    image_converter_cls = ImageConverter
    presets = PRESETS

    @classmethod
    def from_preset(cls, preset: str, *args: Any, **kwargs: Any) -> "ImageClassifierPreprocessor":
        """As in KerasHub; `preset` may also be a key of `presets`."""
        if preset not in PRESETS:
            return super().from_preset(preset, *args, **kwargs)
        return cls(**{"image_converter": ImageConverter.from_preset(preset), **kwargs})
