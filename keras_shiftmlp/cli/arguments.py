"""Arguments that several commands take, with their checks: none of them imports Keras."""

import ast
import functools
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter, validators

from keras_shiftmlp.cli.output import UsageError
from keras_shiftmlp.naming import match_name

RANDOM = "none"


@functools.cache
def registry() -> dict[str, Any]:
    """What is known of each family and size without building it; `make generate` writes it."""
    return json.loads(Path(__file__).with_name("models.json").read_text("utf-8"))


def full_name(name: str) -> str:
    """The name of the size or family that a user means.

    Raises:
        ValueError: If there is none, with the nearest ones.
    """
    known = [*registry()["models"], *registry()["families"]]
    return match_name(name, known, listed_by="`keras-shiftmlp list`")


def check_model(name: str) -> None:
    """Raises `UsageError` unless `name` is a model or an existing .keras file."""
    try:
        if not name.endswith(".keras"):
            full_name(name)
        elif not os.path.isfile(name):
            raise ValueError(f"There is no file '{name}'.")
    except ValueError as error:
        raise UsageError(str(error)) from error


def _known(_: Any, name: str | None) -> None:
    if name is not None:
        full_name(name)


def _known_or_file(_: Any, name: str) -> None:
    check_model(name)


def _preset(_: Any, name: str | None) -> None:
    if name is not None and name not in registry()["preprocessing"]:
        raise ValueError(f"Choose from {', '.join(registry()['preprocessing'])}.")


def _data(_: Any, data: str | None) -> None:
    if data is None or data.startswith("tfds:"):
        return
    if not os.path.isdir(data):
        raise ValueError(f"There is no folder '{data}'. It has a subfolder of images per class.")


def _setting(_: Any, items: Iterable[str]) -> None:
    for item in items:
        if "=" not in item:
            raise ValueError(f"KEY=VALUE is expected. Received: '{item}'")


Model = Annotated[str, Parameter(validator=_known)]
ModelOrFile = Annotated[str, Parameter(validator=_known_or_file)]
Data = Annotated[str, Parameter(validator=_data)]
OptionalData = Annotated[str | None, Parameter(validator=_data)]
Settings = Annotated[tuple[str, ...], Parameter(validator=_setting)]
ExistingFile = Annotated[Path, Parameter(validator=validators.Path(exists=True, dir_okay=False))]
ExistingFolder = Annotated[Path, Parameter(validator=validators.Path(exists=True, file_okay=False))]
Preprocessing = Annotated[str | None, Parameter(validator=_preset)]
KerasFile = Annotated[
    Path, Parameter(validator=validators.Path(exists=True, dir_okay=False, ext="keras"))
]
DType = Literal["float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"]
Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def values_of(settings: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` of the command line as a dictionary."""
    parts = (item.partition("=") for item in settings)
    return {key: _value(text) for key, _, text in parts}


def _value(text):
    """`3` is a number, `(0.5, 1.0)` a pair, `cosine` a string."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def check_weights(model: str, weights: str | None, is_used: bool = False) -> None:
    """Raises `UsageError` for a tag that the model does not have, or a file that is missing.

    Args:
        model: Name of a constructor or of a .keras file.
        weights: What the user wrote.
        is_used: Whether the outputs of the network are shown: the weights must be trained ones, or
            asked to be random.
    """
    if model.endswith(".keras"):
        if weights is not None:
            raise UsageError(f"'{model}' has its own weights: leave out --weights.")
        return
    if is_used and weights is None and full_name(model) in registry()["families"]:
        raise UsageError(
            f"{full_name(model)} has no checkpoint by default: name a size, or use --weights, with "
            f"'{RANDOM}' for random weights."
        )
    if weights is None or weights == RANDOM or "://" in weights:
        return
    if os.sep in weights or "." in weights:
        if not os.path.isfile(weights):
            raise UsageError(f"There is no file of weights '{weights}'.")
        return
    from keras_shiftmlp.catalogue import list_weights

    tags = [row["tag"] for row in list_weights(full_name(model))]
    if weights not in tags:
        known = ", ".join(tags) or "no public checkpoint"
        raise UsageError(f"{full_name(model)} has {known}. Received: '{weights}'")


def check_size(model: str, height: int, width: int) -> None:
    """Raises `UsageError` if a network with weights for each position has another size."""
    if model.endswith(".keras"):
        return
    name, known = full_name(model), registry()
    size = known["models"].get(name)
    if size is None or known["families"][size["family"]]["any_size"]:
        return
    if (height, width) != (size["input"], size["input"]):
        raise UsageError(
            f"{name} takes images of {size['input']} x {size['input']} pixels only. Received: "
            f"{height} x {width}"
        )


def check_packages(what: str, extra: str, *packages: str) -> None:
    """Raises `UsageError` if a package is missing, before anything is read."""
    if not all(map(importlib.util.find_spec, packages)):
        raise UsageError(f"{what} needs {' and '.join(packages)}: pip install '{extra}'")


def check_new(path: Path | None, *endings: str) -> None:
    """Raises `UsageError` if a file of this name cannot be written."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise UsageError(f"The name must end in {' or '.join(endings)}. Received: '{path}'")
    if path.is_dir():
        raise UsageError(f"'{path}' is a folder.")


def build(model: str, weights: str | None) -> Any:
    """The model of a `.keras` file, or of a constructor with its weights.

    Args:
        model: Name of the file or of the constructor.
        weights: As for the constructor; `None` is its default, `"none"` are random weights.
    """
    import keras

    from keras_shiftmlp import get_model

    if model.endswith(".keras"):
        return keras.models.load_model(model)
    if weights is None:
        return get_model(model)
    return get_model(model, weights=None if weights == RANDOM else weights)
