"""Classes of image files, and a picture of the answers."""

import dataclasses
import glob
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_shiftmlp.layers import names
from keras_shiftmlp.models.image_model import ImageModel
from keras_shiftmlp.preprocessing import decode_predictions, eval_transform, warn_of_unit_range
from keras_shiftmlp.training.images import SUFFIXES, UNREADABLE, open_image
from keras_shiftmlp.training.trainer import gives_logits

if TYPE_CHECKING:
    import PIL.Image

logger = logging.getLogger("keras_shiftmlp")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """The most probable classes of one image file.

    Args:
        file: Path of the file.
        classes: `(id, name, probability)`, best first, as from `decode_predictions`.
    """

    file: str
    classes: list[tuple[str, str, float]]


def find_images(places: Iterable[str | os.PathLike[str]]) -> list[str]:
    """The image files of files, folders and patterns, each once.

    Args:
        places: Paths of files; folders, whose subfolders are searched too; and patterns for either,
            such as `"photos/*.jpg"`, in which `**` stands for any subfolders.

    Raises:
        ValueError: If a place does not exist or has no image.

    Example:

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "a.png").touch()
    >>> (folder / "notes.txt").touch()
    >>> [Path(file).name for file in find_images([folder])]
    ['a.png']
    """
    found: dict[str, None] = {}
    for place in (os.fspath(path) for path in places):
        if os.path.isfile(place):
            files = [place]
        else:
            is_folder = os.path.isdir(place)
            matches = [place] if is_folder else sorted(glob.glob(place, recursive=True))
            files = [file for match in matches for file in _images_below(match)]
        if not files:
            raise ValueError(
                "An image file, a folder with images or a pattern is expected. "
                f"Received: '{place}', which has no image"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def _images_below(place):
    """The images of a folder and its subfolders, or the file itself if it is an image."""
    paths = sorted(Path(place).rglob("*")) if os.path.isdir(place) else [Path(place)]
    return [str(path) for path in paths if path.suffix.lower() in SUFFIXES]


def predict_files(
    model: keras.Model,
    files: Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    batch_size: int = 32,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Prediction]:
    """Classifies image files, prepared as for the model's published accuracy.

    Files that can't be decoded are left out; the log names each. Grey, palette, CMYK and RGBA
    files become RGB, with white for transparent pixels.

    Args:
        model: An `ImageModel` with a classifier.
        files: Paths of image files.
        top: How many classes to return for each file.
        batch_size: Images per batch.
        on_progress: Called after each batch with the number of files done and of all.

    Returns:
        One prediction per readable file, in their order. A class without a name is its index.

    Raises:
        ValueError: If the model has no classifier, or a number is not positive.
        ImportError: Without Pillow.

    Example:

    >>> import tempfile, keras_shiftmlp
    >>> file = os.path.join(tempfile.mkdtemp(), "sky.png")
    >>> open_image(np.full((40, 60, 3), (90, 150, 230), "uint8")).save(file)
    >>> [sky] = predict_files(keras_shiftmlp.MixerNano(weights="cifar10"), [file], top=2)
    >>> [name for _, name, _ in sky.classes]
    ['bird', 'airplane']
    """
    if not isinstance(model, ImageModel) or model.layers[-1].name != names.HEAD:
        raise ValueError(
            "`model` must be a model of this package with a classifier. "
            f"Received: `model={getattr(model, 'name', model)!r}`"
        )
    for name, value in (("top", top), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: `{name}={value!r}`")
    class_names = model.class_names or tuple(map(str, range(model.output_shape[-1])))
    transform = eval_transform(model)

    def read(file):
        try:
            return transform(open_image(file))
        except UNREADABLE as error:
            logger.warning("%s cannot be read and is left out: %s", file, error)
            return None

    files = [os.fspath(file) for file in files]
    batch_size = min(batch_size, len(files))
    predictions, largest = [], 0
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), batch_size or 1):
            chosen = files[start : start + batch_size]
            read_files = [(f, x) for f, x in zip(chosen, pool.map(read, chosen)) if x is not None]
            if read_files:
                pixels = np.stack([x for _, x in read_files])
                largest = max(largest, int(pixels.max()))
                scores = _scores(model, pixels, batch_size)
                classes = decode_predictions(scores, top, class_names)
                predictions += [Prediction(f, best) for (f, _), best in zip(read_files, classes)]
            if on_progress:
                on_progress(start + len(chosen), len(files))
    if predictions:
        warn_of_unit_range(largest)
    return predictions


def _scores(model, pixels, batch_size):
    """Probabilities `(N, classes)`, computed in a batch of the same size each time."""
    count = len(pixels)
    # Another shape would be compiled once more.
    padding = [(0, batch_size - count), (0, 0), (0, 0), (0, 0)]
    batch = np.pad(pixels, padding).astype("float32")
    scores = keras.ops.convert_to_numpy(model.predict_on_batch(batch))[:count].astype("float32")
    if gives_logits(model):
        exponentials = np.exp(scores - scores.max(1, keepdims=True))
        scores = exponentials / exponentials.sum(1, keepdims=True)
    return scores


def contact_sheet(
    predictions: Sequence[Prediction],
    path: str | os.PathLike[str] | None = None,
    *,
    columns: int = 5,
    side: int = 160,
) -> "PIL.Image.Image":
    """A picture of all images, each above its most probable classes.

    Args:
        predictions: What `predict_files` returns.
        path: File to write; its ending, such as `.png`, sets the format. `None` saves nothing.
        columns: Images per row.
        side: Side of the square for each image, in pixels.

    Returns:
        The picture.

    Raises:
        ValueError: If there is no prediction.
        ImportError: Without Pillow.
    """
    if not predictions:
        raise ValueError("`predictions` must not be empty. Received: `predictions=[]`")
    try:
        from PIL import Image, ImageDraw, ImageFont, ImageOps
    except ImportError as error:
        raise ImportError("A contact sheet needs Pillow: pip install pillow") from error
    font, line, gap = ImageFont.load_default(12), 15, 8
    shown = max(len(prediction.classes[:3]) for prediction in predictions)
    columns = min(columns, len(predictions))
    rows = -(-len(predictions) // columns)
    width, height = side + gap, side + line * (shown + 1) + gap
    sheet = Image.new("RGB", (columns * width + gap, rows * height + gap), "white")
    draw = ImageDraw.Draw(sheet)

    def write(text, x, y, color):
        while draw.textlength(text, font) > side:
            text = f"{text[:-2]}…"
        draw.text((x, y), text, color, font)

    for index, prediction in enumerate(predictions):
        x, y = index % columns * width + gap, index // columns * height + gap
        image = ImageOps.contain(open_image(prediction.file), (side, side))
        sheet.paste(image, (x + (side - image.width) // 2, y + (side - image.height) // 2))
        write(os.path.basename(prediction.file), x, y + side, "dimgray")
        for place, (_, name, score) in enumerate(prediction.classes[:3], start=1):
            write(f"{score:.0%} {name}", x, y + side + place * line, "black")
    if path is not None:
        sheet.save(path)
    return sheet
