"""The published checkpoints as presets of KerasHub, by name."""

from typing import Any

from keras_shiftmlp.checkpoints import manifest
from keras_shiftmlp.layers.image_preprocessing import PRESETS as PREPROCESSING
from keras_shiftmlp.models import ImageModel
from keras_shiftmlp.models._registry import find_constructor


def _name(entry: dict[str, Any]) -> str:
    """`"ms_mlp_tiny_imagenet"` for the checkpoint `"imagenet"` of `MSMLPTiny`."""
    constructor = find_constructor(entry["model"])
    family = constructor.__module__.rpartition(".")[2]
    size = constructor.name.removeprefix(constructor.family).lower()
    return f"{family}_{size}_{entry['tag']}"


def _metadata(entry: dict[str, Any]) -> dict[str, Any]:
    """What KerasHub's own presets say about themselves, and the licence."""
    description = f"{entry['model']}, {entry['dataset']}, {entry['image_size']} pixels"
    if entry["top1"] is not None:
        description += f", top-1 {entry['top1']} % ({entry['top1_source']})"
    return {
        "description": description,
        "params": entry["params"],
        "path": find_constructor(entry["model"]).__module__.rpartition(".")[2],
        "license": entry["license"],
    }


PRESETS: dict[str, dict[str, Any]] = {
    _name(entry): {"metadata": _metadata(entry), "model": entry["model"], "tag": entry["tag"]}
    for entry in manifest.entries()
}


def checkpoint(preset: str) -> dict[str, Any]:
    """What the manifest says about a preset; `preprocessing` is spelled out."""
    entry = manifest.published_info(PRESETS[preset]["model"], PRESETS[preset]["tag"])
    facts = entry["preprocessing"]
    return {**entry, "preprocessing": PREPROCESSING[facts] if isinstance(facts, str) else facts}


def build(
    preset: str,
    load_weights: bool,
    image_shape: tuple[int | None, int | None, int] | None = None,
    **kwargs: Any,
) -> ImageModel:
    """The network of a preset. As in KerasHub, it takes pixels that a converter has normalised.

    Args:
        preset: A key of `PRESETS`.
        load_weights: Whether to load the weights; their first use downloads them.
        image_shape: `(H, W, C)`. By default the height and width are open, or those of the
            checkpoint where they must be known.
        **kwargs: Arguments of the constructor.
    """
    facts = checkpoint(preset)
    constructor = find_constructor(facts["model"])
    side = None if constructor.any_size else facts["image_size"]
    kwargs |= dict(input_shape=image_shape or (side, side, 3), include_preprocessing=False)
    if load_weights:
        return constructor(weights=facts["tag"], **kwargs)
    own = {key: x for key, x in facts["hyperparameters"].items() if key in constructor.config}
    model = constructor(weights=None, **{**own, **kwargs})
    for key, value in facts["preprocessing"].items():
        setattr(model.preprocessing, key, value)
    return model
