"""From labelled images to batches: random crops, flips, erasing and mixing, on the CPU.

Batch `i` of a run depends on the seed and on `i` alone, so a run that is resumed at any batch
sees what an unbroken one would have seen.
"""

import functools
import math
import threading
from collections.abc import Sequence
from typing import Any, TypedDict

import keras
import numpy as np

from keras_shiftmlp.training.arguments import check_arguments
from keras_shiftmlp.training.images import BICUBIC, Images, fit, height_and_width, one_hot


class Augmentation(TypedDict, total=False):
    """The keyword arguments of `training_batches` that change the images."""

    crop_scale: tuple[float, float] | None
    crop_padding: int
    flip: bool
    randaugment: tuple[int, float] | None
    mixup: float
    cutmix: float
    erase: float


def training_batches(
    images: Images,
    image_size: int | Sequence[int],
    *,
    batch_size: int,
    seed: int,
    start: int = 0,
    stop: int | None = None,
    shard: tuple[int, int] = (0, 1),
    workers: int = 2,
    crop_scale: tuple[float, float] | None = None,
    crop_padding: int = 0,
    flip: bool = True,
    randaugment: tuple[int, float] | None = None,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    erase: float = 0.0,
) -> Any:
    """Augmented batches `start` to `stop` of an endless run.

    Args:
        images: What to draw from; each epoch is a new permutation, its last images that fill no
            batch are left out.
        image_size: Side of the square images of the batches, or their `(H, W)`, in pixels.
        batch_size: Images per batch, over all shards.
        seed: Seed of order and augmentation.
        start: First batch, counted from the beginning of the run.
        stop: The batch to end before.
        shard: `(index, count)`: this process takes part `index` of each batch.
        workers: Threads that prepare batches.
        crop_scale: Share of the image's area that a random crop keeps, from and to; the crop's
            aspect ratio is between 3/4 and 4/3. `None` for no such crop.
        crop_padding: Rows and columns of black that are added on all sides before a crop of
            the original size is taken at random.
        flip: Whether to mirror half of the images.
        randaugment: Number of operations per image, and their strength in `[0, 1]`: a larger one
            changes the images more.
        mixup: Strength of MixUp, the parameter of its Beta distribution.
        cutmix: Strength of CutMix. With both, each batch gets one of the two by chance.
        erase: Probability that a rectangle of the image is replaced by noise.

    Returns:
        A grain dataset of `(pixels, labels)`: float32 `(B, H, W, 3)` in `[0, 255]` and float32
        `(B, classes)`.

    Raises:
        ValueError: For an argument out of its range.
        ImportError: Without grain.
    """
    check_arguments(
        batch_size=batch_size,
        seed=seed,
        shard=shard,
        workers=workers,
        crop_scale=crop_scale,
        crop_padding=crop_padding,
        flip=flip,
        randaugment=randaugment,
        mixup=mixup,
        cutmix=cutmix,
        erase=erase,
    )
    if batch_size % shard[1] or batch_size > len(images):
        raise ValueError(
            f"`batch_size` must divide by the {shard[1]} shards and be at most the {len(images)} "
            f"images. Received: `batch_size={batch_size}`"
        )
    size = height_and_width(image_size)
    steps = len(images) // batch_size
    share = _share(batch_size, shard)
    # Keras draws from the Beta distribution with PyTorch's one global generator.
    one_at_a_time = threading.Lock()

    @functools.lru_cache(maxsize=2)
    def order(epoch):
        return np.random.default_rng([seed, epoch]).permutation(len(images))

    def batch(step):
        epoch, position = divmod(int(step), steps)
        places = range(batch_size)[share]
        chosen = order(epoch)[position * batch_size : (position + 1) * batch_size][share]
        pixels = [
            _crop(images[i], size, crop_scale, crop_padding, [seed, epoch, position, place])
            for i, place in zip(chosen, places)
        ]
        x = np.stack(pixels).astype("float32")
        y = one_hot(images.labels[chosen], len(images.class_names))
        rng = np.random.default_rng([seed, epoch, position, batch_size + shard[0]])
        # Fresh layers with seeds of the batch's own: what a layer drew before does not matter.
        seeds = iter(rng.integers(2**31, size=8).tolist())
        if flip:
            x = keras.layers.RandomFlip("horizontal", seed=next(seeds))(x, training=True)
        if randaugment:
            x = _randaugment(keras.ops.convert_to_numpy(x), *randaugment, rng)
        if erase:
            x = keras.layers.RandomErasing((erase, erase), seed=next(seeds))(x, training=True)
        mixers = [(keras.layers.MixUp, mixup), (keras.layers.CutMix, cutmix)]
        mixers = [(layer, strength) for layer, strength in mixers if strength]
        if mixers:
            layer, strength = mixers[rng.integers(len(mixers))]
            # A tuple, since a plain `factor` of CutMix is drawn from 0 up to it.
            strength = (strength, strength) if layer is keras.layers.CutMix else strength
            with one_at_a_time:
                mixed = layer(strength, seed=next(seeds))({"images": x, "labels": y}, training=True)
            x, y = mixed["images"], mixed["labels"]
        return keras.ops.convert_to_numpy(x), keras.ops.convert_to_numpy(y)

    return _grain_dataset(batch, start, stop, workers)


def evaluation_batches(
    images: Images,
    image_size: int | Sequence[int],
    *,
    batch_size: int,
    crop_fraction: float = 1.0,
    passes: int = 1,
    shard: tuple[int, int] = (0, 1),
    workers: int = 2,
) -> Any:
    """All images once, in order, without augmentation.

    The last batch is filled up with images of weight 0, so that all batches have one shape.

    Args:
        images: What to evaluate on.
        image_size: Side of the square images of the batches, or their `(H, W)`, in pixels.
        batch_size: Images per batch.
        crop_fraction: Share of the height and of the width of the resized image that is kept.
        passes: How often all images come.
        shard: `(index, count)`: this process takes part `index` of each batch.
        workers: Threads that prepare batches.

    Returns:
        A grain dataset of `(pixels, labels, weights)`: float32 `(B, H, W, 3)`, float32
        `(B, classes)`, float32 `(B,)`.

    Raises:
        ValueError: For an argument out of its range.
        ImportError: Without grain.
    """
    check_arguments(
        batch_size=batch_size, crop_fraction=crop_fraction, shard=shard, workers=workers
    )
    size = height_and_width(image_size)
    height, width = size
    resized = math.floor(height / crop_fraction), math.floor(width / crop_fraction)
    top, left = round((resized[0] - height) / 2), round((resized[1] - width) / 2)
    inside = slice(top, top + height), slice(left, left + width)
    steps = math.ceil(len(images) / batch_size)

    def batch(step):
        first = step % steps * batch_size
        chosen = np.arange(first, first + batch_size)[_share(batch_size, shard)]
        weights = (chosen < len(images)).astype("float32")
        chosen = np.minimum(chosen, len(images) - 1)
        pixels = [fit(images[i], resized)[inside] for i in chosen]
        labels = one_hot(images.labels[chosen], len(images.class_names))
        return np.stack(pixels).astype("float32"), labels, weights

    return _grain_dataset(batch, 0, passes * steps, workers)


def _share(batch_size, shard):
    index, count = shard
    return slice(index * batch_size // count, (index + 1) * batch_size // count)


def _randaugment(x, number, strength, rng):
    """`(B, H, W, 3)` with `number` operations of RandAugment, chosen image by image.

    `keras.layers.RandAugment` computes every operation on every image and chooses once a batch:
    six times the work. Here each layer gets the images that drew it.
    """
    layers = keras.layers
    operations = (
        lambda **kwargs: layers.AutoContrast(),
        lambda **kwargs: layers.Equalization(),
        # A lower threshold inverts more pixels, and fewer bits leave fewer colours.
        lambda **kwargs: layers.Solarization(0.0, 1 - strength, **kwargs),
        lambda **kwargs: layers.RandomPosterization(8 - round(7 * strength), **kwargs),
        lambda **kwargs: layers.RandomColorDegeneration(strength, **kwargs),
        lambda **kwargs: layers.RandomContrast(strength, **kwargs),
        lambda **kwargs: layers.RandomBrightness(strength, **kwargs),
        # Below 0.5 it blurs, above it sharpens.
        lambda **kwargs: layers.RandomSharpness((0.5 - strength / 2, 0.5 + strength / 2), **kwargs),
        lambda **kwargs: layers.RandomRotation(strength / 12, **kwargs),  # of a full turn
        lambda **kwargs: layers.RandomShear(0.3 * strength, 0.3 * strength, **kwargs),
        lambda **kwargs: layers.RandomTranslation(0.3 * strength, 0.3 * strength, **kwargs),
    )
    x = np.array(x)
    for _ in range(number):
        drawn = rng.integers(len(operations), size=len(x))
        for index in np.unique(drawn):
            members = np.flatnonzero(drawn == index)
            layer = operations[index](seed=int(rng.integers(2**31)))
            x[members] = keras.ops.convert_to_numpy(layer(x[members], training=True))
    return x


def _grain_dataset(batch, start, stop, workers):
    try:
        import grain
    except ImportError as error:
        raise ImportError("Training needs grain: pip install 'keras_shiftmlp[train]'") from error
    steps = grain.MapDataset.range(start, stop).map(batch)
    return steps.to_iter_dataset(grain.ReadOptions(workers, prefetch_buffer_size=2 * workers))


def _crop(image, size, crop_scale, crop_padding, seed):
    """A PIL image of any size -> `(*size, 3)`, cut out at random."""
    rng = np.random.default_rng(seed)
    if crop_scale is not None:
        width, height = image.size
        for _ in range(10):
            area = width * height * rng.uniform(*crop_scale)
            ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
                box = (left, top, left + w, top + h)
                return np.asarray(image.resize(size[::-1], BICUBIC, box))
    pixels = fit(image, size)
    if crop_padding:
        padded = np.pad(pixels, [(crop_padding, crop_padding)] * 2 + [(0, 0)])
        top, left = rng.integers(2 * crop_padding + 1, size=2)
        pixels = padded[top : top + size[0], left : left + size[1]]
    return pixels
