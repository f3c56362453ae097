"""The first layer of every model, which normalises the pixels."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

# Published kinds of preprocessing, named by what they do to the pixels.
PRESETS: dict[str, dict[str, Any]] = {
    # torchvision's statistics of ImageNet: used by PyTorch recipes.
    "imagenet_mean_std": dict(
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        crop_fraction=0.875,
        interpolation="bicubic",
    ),
    # (x - 127.5) / 127.5: Google's Mixer.
    "minus_one_to_one": dict(
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        crop_fraction=0.875,
        interpolation="bicubic",
    ),
    # x / 255: the checkpoints of MIIL.
    "zero_to_one": dict(
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        crop_fraction=0.875,
        interpolation="bilinear",
    ),
}


def named_preset(name: str) -> dict[str, Any]:
    """The arguments of `ImagePreprocessing` for a published preprocessing."""
    if name not in PRESETS:
        raise ValueError(
            f"`preprocessing` must be one of {', '.join(map(repr, PRESETS))}. "
            f"Received: `preprocessing={name!r}`"
        )
    return PRESETS[name]


@keras.saving.register_keras_serializable(package="keras_shiftmlp")
class ImagePreprocessing(keras.layers.Layer):
    """Normalises pixels: `y = (x / 255 - mean) / std`, in float32 under any dtype policy.

    The layer also stores how evaluation prepares the images, and the names of the classes. Both
    belong to a checkpoint. They are part of the layer's config, which `.keras` files and
    `clone_model` keep.

    Args:
        mean: Mean per channel, for pixels in `[0, 1]`.
        std: Standard deviation (not variance) per channel, for pixels in `[0, 1]`.
        image_size: Side in pixels of the square images that the network takes.
        crop_fraction: Centre-crop fraction at evaluation (timm's `crop_pct`).
        interpolation: `"bicubic"` or `"bilinear"`, with antialiasing.
        normalize: `False` passes the input through unchanged.
        class_names: One name per class.

    Call arguments:
        inputs: Tensor `(B, H, W, C)`, float or uint8 pixels in `[0, 255]`.

    Returns:
        Tensor `(B, H, W, C)` of float32, the input itself without `normalize`.

    Example:

    >>> layer = ImagePreprocessing(mean=[0.5], std=[0.5])
    >>> y = layer(keras.ops.full((1, 1, 1, 1), 255.0))
    >>> float(keras.ops.squeeze(y))
    1.0
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        image_size: int = 224,
        crop_fraction: float = 0.875,
        interpolation: str = "bicubic",
        normalize: bool = True,
        class_names: Sequence[str] | None = None,
        dtype: Any = "float32",
        **kwargs: Any,
    ):
        super().__init__(dtype=dtype, **kwargs)
        self.mean = tuple(mean)
        self.std = tuple(std)
        self.image_size = image_size
        self.crop_fraction = crop_fraction
        self.interpolation = interpolation
        self.normalize = normalize
        self.class_names = None if class_names is None else tuple(class_names)
        self.built = True

    def call(self, inputs):
        if not self.normalize:
            return inputs
        mean, std = (
            ops.convert_to_tensor([255.0 * value for value in values], dtype=self.compute_dtype)
            for values in (self.mean, self.std)
        )
        return (ops.cast(inputs, self.compute_dtype) - mean) / std

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        names = (
            "mean", "std", "image_size", "crop_fraction", "interpolation", "normalize",
            "class_names",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
