"""Preparation of images outside the model, and class names of predictions."""

import functools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from keras_shiftmlp.catalogue import published_info
from keras_shiftmlp.checkpoints.manifest import class_names as class_names_of
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.layers.image_preprocessing import PRESETS, ImagePreprocessing
from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.models.image_model import ImageModel


def preprocess_input(x: Any, model_or_tag: ImageModel | str) -> Any:
    """Normalises pixels like a model with `include_preprocessing=True`.

    If no value of a batch is above 1, one warning in the log says that pixels are in `[0, 255]`.

    Args:
        x: Pixels in `[0, 255]`, `(..., H, W, 3)`, float or uint8: a NumPy array or a tensor.
        model_or_tag: A model, a constructor's name such as `"MixerB16"`, one of its checkpoints
            such as `"MixerB16/imagenet_miil"`, or one of `"imagenet_mean_std"`,
            `"minus_one_to_one"` and `"zero_to_one"`.

    Returns:
        `(x / 255 - mean) / std` as float32: a NumPy array for an array, else a tensor.

    Raises:
        ValueError: For an unknown name.

    Example:

    >>> preprocess_input(np.full((1, 1, 3), 255, "uint8"), "MixerB16").tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    layer = ImagePreprocessing.from_config(
        {**_preprocessing(model_or_tag).get_config(), "normalize": True}
    )
    largest = _largest(x)
    if largest is not None:
        warn_of_unit_range(largest)
    if isinstance(x, np.ndarray):
        return keras.ops.convert_to_numpy(layer(x.astype("float32")))
    return layer(x)


def warn_of_unit_range(largest: float) -> None:
    """Logs a warning, once per process, if the largest value of some images is at most 1."""
    if largest <= 1:
        cache.warn_once(
            "No value of the images is above 1, but pixels are expected in [0, 255]: multiply "
            "images in [0, 1] by 255."
        )


def _largest(x):
    """The largest value of a batch; `None` for an empty batch, or one that is being traced."""
    if keras.utils.is_keras_tensor(x) or 0 in x.shape:
        return None
    try:
        return float(np.max(keras.ops.convert_to_numpy(x)))
    except (TypeError, NotImplementedError):  # raised by JAX and TensorFlow while they trace
        return None


def eval_transform(model_or_tag: ImageModel | str) -> Callable[..., np.ndarray]:
    """The resize and crop that was used to measure a model's published accuracy.

    The image is resized, with its aspect ratio, to the smallest size that covers
    `(H / crop_fraction, W / crop_fraction)`, and the central `(H, W)` is cut out. For a square
    this resizes the shorter side to `image_size / crop_fraction`. Pillow resizes with the
    published interpolation and antialiasing, as in the authors' PyTorch code, so the pixels are
    the same.

    Args:
        model_or_tag: As for `preprocess_input`. `(H, W)` is `model.image_size` for a model, and
            the square of the published side for a name.

    Returns:
        A function from a path, a PIL image or a uint8 array `(height, width, 3)` to uint8
        pixels `(H, W, 3)` in `[0, 255]`.

    Raises:
        ValueError: For an unknown name.

    Example:

    >>> transform = eval_transform("S2MLPv2Small")
    >>> transform(np.zeros((300, 500, 3), "uint8")).shape
    (224, 224, 3)
    """
    facts = _preprocessing(model_or_tag)
    is_model = isinstance(model_or_tag, ImageModel)
    return functools.partial(
        _resize_and_crop,
        size=model_or_tag.image_size if is_model else (facts.image_size, facts.image_size),
        crop_fraction=facts.crop_fraction,
        interpolation=facts.interpolation,
    )


def decode_predictions(
    predictions: Any, top: int = 5, class_names: Sequence[str] | None = None
) -> list[list[tuple[str, str, float]]]:
    """The most probable classes of each image, by name.

    Args:
        predictions: Probabilities or logits `(B, classes)`.
        top: How many classes to return.
        class_names: One name per class, such as `model.class_names`. `None` means the 1000
            classes of ImageNet, whose names ship with the package.

    Returns:
        For each image a list of `(id, name, score)`, best first; `id` is the WordNet id for
        ImageNet and the index as text otherwise.

    Raises:
        ValueError: If the number of names is not the number of classes.

    Example:

    >>> decode_predictions(np.eye(1000)[[207]], top=1)
    [[('n02099601', 'golden_retriever', 1.0)]]
    """
    predictions = keras.ops.convert_to_numpy(predictions)
    if class_names is None:
        ids, names = zip(*class_names_of("imagenet"))
    else:
        ids, names = tuple(map(str, range(len(class_names)))), tuple(class_names)
    if predictions.ndim != 2 or predictions.shape[1] != len(names):
        raise ValueError(
            f"`predictions` must be of shape `(B, {len(names)})`, one column per class name. "
            f"Received: `predictions.shape={predictions.shape}`"
        )
    best = np.argsort(-predictions, axis=1, kind="stable")[:, :top]
    return [
        [(ids[i], names[i], float(scores[i])) for i in order]
        for order, scores in zip(best, predictions)
    ]


def _preprocessing(model_or_tag: ImageModel | str) -> ImagePreprocessing:
    """The preprocessing of a model, a checkpoint, a family or a preset, as a layer."""
    if isinstance(model_or_tag, ImageModel):
        return model_or_tag.preprocessing
    if model_or_tag in PRESETS:
        return ImagePreprocessing(**PRESETS[model_or_tag])
    name, _, tag = model_or_tag.partition("/")
    constructor = find_constructor(name)
    preset, image_size = constructor.preprocessing, constructor.image_size
    if tag:
        entry = published_info(name, tag)
        preset, image_size = entry["preprocessing"], entry["image_size"]
    facts = PRESETS[preset] if isinstance(preset, str) else preset
    return ImagePreprocessing(**facts, image_size=image_size)


def _resize_and_crop(image, size, crop_fraction, interpolation):
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("`eval_transform` needs Pillow: pip install pillow") from error
    if isinstance(image, (str, os.PathLike)):
        with Image.open(image) as file:
            image = file.convert("RGB")
    elif not isinstance(image, Image.Image):
        image = Image.fromarray(np.asarray(image))
    image = image.convert("RGB")
    width, height = image.size
    least_height, least_width = (math.floor(side / crop_fraction) for side in size)
    # As in torchvision, one side is exact and the other is rounded down.
    if least_width * height > least_height * width:
        resized = (least_width, int(least_width * height / width))
    else:
        resized = (int(least_height * width / height), least_height)
    image = image.resize(resized, getattr(Image.Resampling, interpolation.upper()))
    left, upper = round((resized[0] - size[1]) / 2), round((resized[1] - size[0]) / 2)
    return np.asarray(image.crop((left, upper, left + size[1], upper + size[0])))
