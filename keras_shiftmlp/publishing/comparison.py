"""Compares our networks with those of the original frameworks, on the same photos."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_shiftmlp.checkpoints import containers, sources
from keras_shiftmlp.models import get_model
from keras_shiftmlp.models._registry import find_constructor
from keras_shiftmlp.preprocessing import eval_transform


def verify(
    constructor: str,
    file: str | Path,
    photos: str | Path,
    limit: int = 8,
    preprocessing: str | None = None,
    tolerance: float = 1e-5,
) -> dict[str, Any]:
    """Compares the logits of our network with those of the original framework's.

    Args:
        constructor: Name of the constructor, such as `"MixerB16"`.
        file: Path of the publisher's file.
        photos: Folder of photos; subfolders are searched too.
        limit: Number of photos.
        preprocessing: Name of a preset; by default the family's.
        tolerance: Largest difference, in multiples of `max(1, max|logit|)`.

    Returns:
        The number of photos, the largest difference of a logit, and the same in multiples of
        `max(1, max|logit|)`.

    Raises:
        ValueError: If the difference is above the tolerance, if there are no photos, or if the
            publisher's layout has no original network to compare with.
        OSError: If the file cannot be read, or if the original network is not in this installation.
        ImportError: If the original framework is not installed.
    """
    from keras_shiftmlp.benchmark.originals import original_logits

    paths = sorted(path for path in Path(photos).rglob("*") if path.is_file())[:limit]
    if not paths:
        raise ValueError(f"`photos` must be a folder of photos. Received: `photos={str(photos)!r}`")
    network, weights = find_constructor(constructor), containers.read(file)
    source = sources.recognise(weights, str(file)).name
    model = network(weights=Path(file), classifier_activation=None, preprocessing=preprocessing)
    images = np.stack([eval_transform(model)(path) for path in paths])
    facts = model.preprocessing
    # As the originals normalise: to [0, 1] first, then by mean and standard deviation.
    mean, std = (np.array(values, "float32") for values in (facts.mean, facts.std))
    pixels = (images / np.float32(255) - mean) / std
    theirs = original_logits(source, network.name, network.config, weights, pixels)
    difference = float(np.abs(model.predict(images, verbose=0) - theirs).max())
    relative = difference / max(1.0, float(np.abs(theirs).max()))
    if not relative <= tolerance:
        raise ValueError(
            f"The logits of {network.name} and of the original differ by {difference:.2e}, which "
            f"is {relative:.2e} of the scale. Received: `file={str(file)!r}`, `{tolerance=}`"
        )
    return {"photos": len(paths), "difference": difference, "relative": relative}


def verify_softmax(
    constructor: str, file: str | Path, softmax: str | Path, photo: str | Path
) -> dict[str, Any]:
    """Compares our probabilities with those that Google's own JAX model gave for one photo.

    That model resizes bilinearly to 224 x 224 without antialiasing and divides by 128.

    Args:
        constructor: Name of the constructor, such as `"MixerB16"`.
        file: Path of Google's file.
        softmax: Path of a `.npy` with the probabilities.
        photo: Path of the photo.

    Returns:
        The largest difference of a probability, and whether the five most probable classes agree.
    """
    model = get_model(constructor, weights=Path(file), include_preprocessing=False)
    pixels = keras.utils.img_to_array(keras.utils.load_img(photo))[None]
    pixels = keras.ops.image.resize(pixels, (224, 224), interpolation="bilinear", antialias=False)
    ours = model.predict(keras.ops.convert_to_numpy(pixels) / 128 - 1, verbose=0)[0]
    theirs = np.load(softmax).reshape(-1)
    return {
        "difference": float(np.abs(ours - theirs).max()),
        "top5_agree": bool((np.argsort(-ours)[:5] == np.argsort(-theirs)[:5]).all()),
    }
