"""Random changes of training images: crops, flips, RandAugment, erasing, MixUp and CutMix.

Pillow and NumPy compute them on pixels of eight bits, the same on every backend. Both release
Python's lock, so threads work at the same time.
"""

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from keras_shiftmlp.training.images import BICUBIC, fit

if TYPE_CHECKING:
    import PIL.Image

GREY = (128, 128, 128)  # fills what geometry leaves empty
# Random erasing, Zhong et al., 2017: share of the area, and ratio of the sides.
ERASED_SHARE = (0.02, 0.33)
ERASED_RATIO = (0.3, 3.3)


class Augmentation(TypedDict, total=False):
    """The keyword arguments of `training_batches` that change the images."""

    crop_scale: tuple[float, float] | None
    crop_padding: int
    flip: bool
    randaugment: tuple[int, float] | None
    mixup: float
    cutmix: float
    erase: float


def augmented(
    image: "PIL.Image.Image",
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    crop_scale: tuple[float, float] | None,
    crop_padding: int,
    flip: bool,
    randaugment: tuple[int, float] | None,
    erase: float,
) -> np.ndarray:
    """A random view of a PIL image in RGB, as uint8 `(*size, 3)`. See `training_batches`."""
    from PIL import ImageOps

    image = _cropped(image, size, crop_scale, crop_padding, rng)
    if flip and rng.random() < 0.5:
        image = ImageOps.mirror(image)
    if randaugment:
        image = rand_augment(image, *randaugment, rng)
    pixels = np.asarray(image)
    if rng.random() < erase:
        pixels = _erased(pixels, rng)
    return pixels


def _cropped(image, size, crop_scale, crop_padding, rng):
    from PIL import Image

    height, width = size
    if crop_scale is not None:
        box = _rectangle(image.width, image.height, crop_scale, (3 / 4, 4 / 3), rng)
        if box is not None:
            return image.resize((width, height), BICUBIC, box)
    image = Image.fromarray(fit(image, size))
    if crop_padding:
        left, top = (int(place) for place in rng.integers(2 * crop_padding + 1, size=2))
        left, top = left - crop_padding, top - crop_padding
        # Pillow fills what is outside with black.
        image = image.crop((left, top, left + width, top + height))
    return image


def _rectangle(width, height, shares, ratios, rng):
    """A random rectangle inside, `(left, top, right, bottom)`; `None` if none of ten drawn fits.

    Its share of the area is uniform in `shares`, and its ratio in `ratios` in the logarithm.
    """
    for _ in range(10):
        area = width * height * rng.uniform(*shares)
        ratio = math.exp(rng.uniform(*map(math.log, ratios)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    return None


def rand_augment(
    image: "PIL.Image.Image", number: int, strength: float, rng: np.random.Generator
) -> "PIL.Image.Image":
    """Applies `number` of the 14 operations of RandAugment, each chosen anew.

    The strength is the paper's magnitude as a share of its largest one. Changes that have a
    direction take either by chance.

    Reference: [RandAugment](https://arxiv.org/abs/1909.13719).
    """
    operations = list(rand_augment_operations().values())
    for _ in range(number):
        image = operations[rng.integers(len(operations))](image, strength, rng)
    return image


@functools.cache
def rand_augment_operations() -> dict[str, Callable[..., "PIL.Image.Image"]]:
    """By name, functions of an image, a strength in `[0, 1]` and a generator."""
    from PIL import Image, ImageEnhance, ImageOps

    def either(value, rng):
        return value if rng.random() < 0.5 else -value

    def enhanced(enhancer):
        return lambda image, s, rng: enhancer(image).enhance(1 + either(0.9 * s, rng))

    def moved(image, coefficients):
        """Takes the pixel at `(x, y)` from `(a x + b y + c, d x + e y + f)`."""
        affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
        return image.transform(image.size, affine, coefficients, bilinear, fillcolor=GREY)

    def rotated(image, s, rng):
        angle = either(30 * s, rng)
        return image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=GREY)

    return {
        "identity": lambda image, s, rng: image,
        "full contrast": lambda image, s, rng: ImageOps.autocontrast(image),
        "equalization": lambda image, s, rng: ImageOps.equalize(image),
        # Inverts the values from the threshold on.
        "solarization": lambda image, s, rng: ImageOps.solarize(image, round(256 * (1 - s))),
        "posterization": lambda image, s, rng: ImageOps.posterize(image, 8 - math.ceil(4 * s)),
        "colour": enhanced(ImageEnhance.Color),
        "contrast": enhanced(ImageEnhance.Contrast),
        "brightness": enhanced(ImageEnhance.Brightness),
        "sharpness": enhanced(ImageEnhance.Sharpness),
        "rotation": rotated,
        "shear along x": lambda i, s, rng: moved(i, (1, either(0.3 * s, rng), 0, 0, 1, 0)),
        "shear along y": lambda i, s, rng: moved(i, (1, 0, 0, either(0.3 * s, rng), 1, 0)),
        "translation along x": lambda i, s, rng: moved(
            i, (1, 0, either(0.3 * s * i.width, rng), 0, 1, 0)
        ),
        "translation along y": lambda i, s, rng: moved(
            i, (1, 0, 0, 0, 1, either(0.3 * s * i.height, rng))
        ),
    }


def _erased(pixels, rng):
    """`(H, W, 3)` with noise in a random rectangle."""
    height, width, _ = pixels.shape
    box = _rectangle(width, height, ERASED_SHARE, ERASED_RATIO, rng)
    if box is None:
        return pixels
    left, top, right, bottom = box
    pixels = pixels.copy()
    pixels[top:bottom, left:right] = rng.integers(256, size=(bottom - top, right - left, 3))
    return pixels


def mix_up(
    x: np.ndarray, y: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mixes each image of a batch and its label with another's, by a share of Beta(alpha, alpha).

    Args:
        x: Pixels `(B, H, W, 3)`.
        y: Labels `(B, classes)`.
        alpha: Above 0.
        rng: Source of the shares and of the pairs.

    Returns:
        Float32 pixels and labels.

    Reference: [MixUp](https://arxiv.org/abs/1710.09412).
    """
    order, kept = rng.permutation(len(x)), rng.beta(alpha, alpha, len(x)).astype("float32")
    shares = kept[:, None, None, None]
    x = shares * x + (1 - shares) * x[order]
    return x, kept[:, None] * y + (1 - kept[:, None]) * y[order]


def cut_mix(
    x: np.ndarray, y: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Pastes a rectangle of another image into each, at the same place.

    The share of the area that an image keeps has the distribution Beta(alpha, alpha). Arguments and
    results as for `mix_up`. The labels are mixed by the areas in whole pixels.

    Reference: [CutMix](https://arxiv.org/abs/1905.04899).
    """
    order, (height, width) = rng.permutation(len(x)), x.shape[1:3]
    mixed, kept = x.copy(), np.empty((len(x), 1), "float32")
    for index, other in enumerate(order):
        side = math.sqrt(1 - rng.beta(alpha, alpha))
        h, w = round(side * height), round(side * width)
        top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
        box = slice(top, top + h), slice(left, left + w)
        mixed[index][box] = x[other][box]
        kept[index] = 1 - h * w / (height * width)
    return mixed, kept * y + (1 - kept) * y[order]
