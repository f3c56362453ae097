"""From labelled images to batches, on the CPU.

Batch `i` of a run depends only on the seed and `i`, so a run that is resumed at any batch gets the
same batches as an uninterrupted one, on every backend.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_shiftmlp.training.arguments import check_arguments
from keras_shiftmlp.training.augmentation import augmented, cut_mix, mix_up
from keras_shiftmlp.training.images import Images, fit, height_and_width, one_hot


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
    worker_processes: int = 0,
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
        images: The training images. Each epoch is a new permutation; the last images that do not
            fill a batch are left out.
        image_size: Side of the square images of the batches, or their `(H, W)`, in pixels.
        batch_size: Images per batch, over all shards.
        seed: Seed of order and augmentation.
        start: First batch, counted from the beginning of the run.
        stop: End of the range, exclusive. `None` means no end.
        shard: `(index, count)`: this process takes part `index` of each batch.
        workers: Threads that prepare batches, in each process.
        worker_processes: Processes that prepare batches; 0 prepares them in this process. A program
            that starts processes needs `if __name__ == "__main__":`.
        crop_scale: Smallest and largest share of the image's area that a random crop keeps; the
            crop's aspect ratio is between 3/4 and 4/3. `None` means no such crop.
        crop_padding: Rows and columns of black pixels that are added on all sides before a random
            crop of the original size.
        flip: Whether to mirror half of the images.
        randaugment: Number of RandAugment's operations per image, and their strength in `[0, 1]`,
            the paper's magnitude as a share of its largest one.
        mixup: Strength of MixUp, the parameter of its Beta distribution.
        cutmix: Strength of CutMix. With both, each batch randomly uses one of the two.
        erase: Probability that a rectangle of 2 to 33 % of the image is replaced by noise.

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
        worker_processes=worker_processes,
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

    def batch(step):
        epoch, position = divmod(int(step), steps)
        places = range(batch_size)[share]
        drawn = slice(position * batch_size, (position + 1) * batch_size)
        chosen = _order(len(images), seed, epoch)[drawn][share]
        pixels = [
            augmented(
                images[i],
                size,
                np.random.default_rng([seed, epoch, position, place]),
                crop_scale=crop_scale,
                crop_padding=crop_padding,
                flip=flip,
                randaugment=randaugment,
                erase=erase,
            )
            for i, place in zip(chosen, places)
        ]
        x, y = np.stack(pixels), one_hot(images.labels[chosen], len(images.class_names))
        rng = np.random.default_rng([seed, epoch, position, batch_size + shard[0]])
        mixers = [(mix_up, mixup), (cut_mix, cutmix)]
        mixers = [(function, strength) for function, strength in mixers if strength]
        if mixers:
            function, strength = mixers[rng.integers(len(mixers))]
            x, y = function(x, y, strength, rng)
        return x.astype("float32"), y

    return _grain_dataset(batch, start, stop, workers, worker_processes)


# Not inside `training_batches`, because other processes get its functions as bytes.
@functools.lru_cache(maxsize=4)
def _order(count, seed, epoch):
    return np.random.default_rng([seed, epoch]).permutation(count)


def evaluation_batches(
    images: Images,
    image_size: int | Sequence[int],
    *,
    batch_size: int,
    crop_fraction: float = 1.0,
    passes: int = 1,
    shard: tuple[int, int] = (0, 1),
    workers: int = 2,
    worker_processes: int = 0,
) -> Any:
    """All images once, in order, without augmentation.

    The last batch is padded with images of weight 0, so that all batches have the same shape.

    Args:
        images: The evaluation images.
        image_size: Side of the square images of the batches, or their `(H, W)`, in pixels.
        batch_size: Images per batch.
        crop_fraction: Share of the height and of the width of the resized image that is kept.
        passes: How many times to go through all images.
        shard: `(index, count)`: this process takes part `index` of each batch.
        workers, worker_processes: As for `training_batches`.

    Returns:
        A grain dataset of `(pixels, labels, weights)`: float32 `(B, H, W, 3)`, float32
        `(B, classes)`, float32 `(B,)`.

    Raises:
        ValueError: For an argument out of its range.
        ImportError: Without grain.
    """
    check_arguments(
        batch_size=batch_size,
        crop_fraction=crop_fraction,
        shard=shard,
        workers=workers,
        worker_processes=worker_processes,
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

    return _grain_dataset(batch, 0, passes * steps, workers, worker_processes)


def _share(batch_size, shard):
    index, count = shard
    return slice(index * batch_size // count, (index + 1) * batch_size // count)


def _grain_dataset(batch, start, stop, workers, worker_processes):
    try:
        import grain
    except ImportError as error:
        raise ImportError("Training needs grain: pip install 'keras_shiftmlp[train]'") from error
    steps = grain.MapDataset.range(start, stop).map(batch)
    batches = steps.to_iter_dataset(grain.ReadOptions(workers, prefetch_buffer_size=2 * workers))
    if not worker_processes:
        return batches
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # grain reads one of them
    return batches.mp_prefetch(grain.MultiprocessingOptions(worker_processes))
