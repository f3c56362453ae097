"""Labelled images from a folder, a TensorFlow Datasets name or arrays, checked before use."""

import dataclasses
import io
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_shiftmlp.preprocessing import warn_of_unit_range

if TYPE_CHECKING:
    import PIL.Image

logger = logging.getLogger("keras_shiftmlp")

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff")
BICUBIC = 3  # Pillow's number
UNREADABLE = (OSError, SyntaxError, ValueError)  # raised by Pillow for damaged files


@dataclasses.dataclass(frozen=True)
class Images:
    """Images that are read by index, with their labels.

    Args:
        source: The images by index: a list of paths, an array `(N, H, W, 3)` of uint8,
            or any sequence of `{"image": ...}` such as a TensorFlow Datasets data source.
        labels: Array `(N,)` of class indices.
        class_names: One name per class.
        skipped: Files that could not be read and were left out.
    """

    source: Sequence[Any] | np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def __post_init__(self):
        labels = np.asarray(self.labels)
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]  # (N, 1) -> (N,)
        if labels.ndim != 1 or len(labels) != len(self.source) or labels.dtype.kind not in "iu":
            raise ValueError(
                "`labels` must be one integer per image. Received: "
                f"`labels` of shape {labels.shape} and {labels.dtype} for {len(self.source)} images"
            )
        if not len(labels):
            raise ValueError(f"There is no image. Received: `source` of length {len(self.source)}")
        if labels.min() < 0 or labels.max() >= len(self.class_names):
            raise ValueError(
                f"`labels` must be in [0, {len(self.class_names)}), one index per class name. "
                f"Received: labels from {labels.min()} to {labels.max()}"
            )
        object.__setattr__(self, "labels", labels.astype("int64"))
        missing = set(range(len(self.class_names))) - set(self.labels.tolist())
        if missing:
            names = ", ".join(self.class_names[index] for index in sorted(missing)[:10])
            logger.warning("No image of %d of the classes: %s.", len(missing), names)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> "PIL.Image.Image":
        """The image at `index` as a PIL image in RGB."""
        item = self.source[int(index)]
        return open_image(item["image"] if isinstance(item, dict) else item)

    def take(self, indices: Any) -> "Images":
        """The images at `indices`, in that order."""
        indices = np.asarray(indices)
        if isinstance(self.source, np.ndarray):
            source = self.source[indices]
        else:
            source = [self.source[int(index)] for index in indices]
        return dataclasses.replace(self, source=source, labels=self.labels[indices])

    def split(self, held_out: int | float, seed: int = 0) -> tuple["Images", "Images"]:
        """Two stratified splits, the second with `held_out` images, or that share of them."""
        count = held_out if isinstance(held_out, int) else round(held_out * len(self))
        if not 0 < count < len(self):
            raise ValueError(
                f"`held_out` must leave images in both splits of {len(self)}. "
                f"Received: `held_out={held_out!r}`"
            )
        # Shuffle, then sort by rank within the class, so that each prefix is stratified.
        order = np.random.default_rng(seed).permutation(len(self))
        rank, seen = np.empty(len(self)), np.zeros(len(self.class_names))
        sizes = np.bincount(self.labels)
        for index in order:
            label = self.labels[index]
            rank[index] = (seen[label] + 0.5) / sizes[label]
            seen[label] += 1
        order = order[np.argsort(rank[order], kind="stable")]
        return self.take(np.sort(order[count:])), self.take(np.sort(order[:count]))

    def resized(self, size: int | Sequence[int]) -> "Images":
        """The images decoded and resized once, as an array `(N, H, W, 3)` of uint8.

        Args:
            size: The side of a square, or `(H, W)`, in pixels.
        """
        size = height_and_width(size)
        pixels = np.empty((len(self), *size, 3), "uint8")

        def read(index):
            pixels[index] = fit(self[index], size)

        with ThreadPoolExecutor() as pool:
            list(pool.map(read, range(len(self))))
        return dataclasses.replace(self, source=pixels)


def load_images(
    data: str | os.PathLike[str] | tuple[Any, Any],
    class_names: Sequence[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Images to train or to evaluate with.

    Every file of a folder is decoded once as a check. Files that can't be decoded are left out,
    counted in the log and listed in `skipped`. If no value of the files is above 1, one warning in
    the log says that pixels are in `[0, 255]`. Grey, palette, CMYK and RGBA files become RGB
    when they are read (transparent pixels become white).

    Args:
        data: A folder with one subfolder of images per class; `"tfds:<name>/<split>"`, such as
            `"tfds:cifar10/train"`, for TensorFlow Datasets; or arrays `(images, labels)` with
            images `(N, H, W, 3)` of uint8.
        class_names: The classes in the order of their indices, such as those of the training
            set for a test set. `None` takes the subfolders in alphabetical order.
        on_progress: Called while a folder is read, with the number of files done and of all.

    Raises:
        ValueError: For a class without a readable image, a subfolder that is not a class, or
            labels out of range.

    Example:

    >>> images = load_images((np.zeros((4, 8, 8, 3), "uint8"), [0, 1, 1, 0]))
    >>> len(images), images.class_names
    (4, ('0', '1'))
    """
    if isinstance(data, tuple):
        pixels, labels = np.asarray(data[0]), np.asarray(data[1])
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[-1] != 3:
            raise ValueError(
                "Images must be an array `(N, H, W, 3)` of uint8 pixels. "
                f"Received: {pixels.dtype} of shape {pixels.shape}"
            )
        names = class_names or [str(i) for i in range(int(labels.max(initial=-1)) + 1)]
        return Images(pixels, labels, tuple(names))
    if isinstance(data, str) and data.startswith("tfds:"):
        return _load_tfds(data.removeprefix("tfds:"), class_names)
    return _load_folder(Path(data), class_names, on_progress)


def class_names_of(data: str | os.PathLike[str]) -> tuple[str, ...]:
    """The classes of a folder or a TensorFlow data set, before an image is read.

    Args:
        data: As for `load_images`, but no arrays.

    Raises:
        ValueError: If the folder has no subfolder.
    """
    if isinstance(data, str) and data.startswith("tfds:"):
        builder, _ = _tfds_builder(data.removeprefix("tfds:"))
        return tuple(builder.info.features["label"].names)
    return _subfolders(Path(data))


def _subfolders(folder):
    if not folder.is_dir():
        raise ValueError(f"A folder with one subfolder per class is needed. Received: '{folder}'")
    found = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if not found:
        raise ValueError(f"'{folder}' must have a subfolder of images per class. It has none")
    return found


def _tfds_builder(name):
    """The builder of `<name>/<split>`, and the split."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(
            "`tfds:` needs TensorFlow Datasets: pip install 'keras_shiftmlp[data]'"
        ) from error
    name, _, split = name.rpartition("/")
    if not name:
        raise ValueError(f"A split is needed, as in 'tfds:cifar10/train'. Received: {split!r}")
    return tfds.builder(name, file_format="array_record"), split


def _load_tfds(name, class_names):
    builder, split = _tfds_builder(name)
    import tensorflow_datasets as tfds

    builder.download_and_prepare()
    # Images are decoded when they are read.
    decoders = {"image": tfds.decode.SkipDecoding()}
    source = builder.as_data_source(split=split, decoders=decoders)
    labels = np.array([source[index]["label"] for index in range(len(source))])
    return Images(source, labels, tuple(class_names or builder.info.features["label"].names))


def _load_folder(folder, class_names, on_progress):
    found = _subfolders(folder)
    names = tuple(class_names or found)
    unknown = set(found) - set(names)
    if unknown:
        raise ValueError(
            f"The subfolders of '{folder}' must be classes: {', '.join(names)}. "
            f"Received: {', '.join(sorted(unknown))}"
        )
    paths, labels = [], []
    for label, name in enumerate(names):
        if name in found:
            files = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in SUFFIXES)
            if not files:
                raise ValueError(f"Class '{name}' has no image in '{folder / name}'.")
            paths += files
            labels += [label] * len(files)
    largest = []
    with ThreadPoolExecutor() as pool:
        for value in pool.map(_largest, paths):
            largest.append(value)
            if on_progress:
                on_progress(len(largest), len(paths))
    readable = np.array([value is not None for value in largest], bool)
    skipped = tuple(str(path) for path, good in zip(paths, readable) if not good)
    if skipped:
        logger.warning("Left out %d unreadable of %d files: %s", len(skipped), len(paths), skipped)
    labels = np.array(labels)
    for label in set(labels.tolist()) - set(labels[readable].tolist()):
        raise ValueError(f"Class '{names[label]}' of '{folder}' has no readable image.")
    warn_of_unit_range(max(value for value in largest if value is not None))
    paths = [str(path) for path, good in zip(paths, readable) if good]
    return Images(paths, labels[readable], names, skipped)


def _largest(path):
    """The largest value of an image file; `None` if it cannot be decoded."""
    try:
        pixels = np.asarray(open_image(path))
    except UNREADABLE:
        return None
    return int(pixels.max())


def open_image(image: str | os.PathLike[str] | bytes | np.ndarray) -> "PIL.Image.Image":
    """A path, the bytes of a file or an array `(H, W, 3)` as a PIL image in RGB."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("Reading images needs Pillow: pip install pillow") from error
    if isinstance(image, np.ndarray):
        return Image.fromarray(image)
    with Image.open(io.BytesIO(image) if isinstance(image, bytes) else image) as file:
        file.load()
        if file.mode in ("RGBA", "LA", "PA") or "transparency" in file.info:
            file = Image.alpha_composite(
                Image.new("RGBA", file.size, "white"), file.convert("RGBA")
            )
        return file.convert("RGB")


def height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    """`(H, W)` of the side of a square, or of the pair itself."""
    height, width = size if isinstance(size, Sequence) else (size, size)
    return height, width


def fit(image: "PIL.Image.Image", size: tuple[int, int]) -> np.ndarray:
    """The largest central part of a PIL image with the ratio of `size`, as uint8 `(*size, 3)`."""
    from PIL import ImageOps

    height, width = size
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), BICUBIC)
    return np.asarray(image)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """`(B,)` -> `(B, classes)` of float32."""
    return keras.utils.to_categorical(labels, classes).astype("float32")
