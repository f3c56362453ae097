"""The known checkpoints: the authors', those in the package, and those in the user's place."""

import functools
import gzip
import json
import os
from pathlib import Path

from keras_shiftmlp.checkpoints import sources
from keras_shiftmlp.downloads import cache, fetch, places
from keras_shiftmlp.naming import plain_name

# The authors' checkpoints, one file per family.
PUBLISHED = Path(__file__).parent / "published"
# The checkpoints that come with the package.
SHIPPED = Path(__file__).parent / "shipped"
_CLASS_NAMES = Path(__file__).parent / "class_names"
_OPTIONAL = dict.fromkeys(
    ["params", "top1", "top1_source", "class_names", "preprocessing", "source", "sha256",
     "sha256_prefix", "size"]
)  # fmt: skip


@functools.cache
def entries() -> tuple[dict, ...]:
    """The checkpoints that the package knows: the authors', then those that come with it."""
    files = sorted(PUBLISHED.glob("*.json"))
    published = [entry for file in files for entry in json.loads(file.read_text("utf-8"))]
    known = {source.name: source.hyperparameters for source in sources.sources()}
    return (
        # `classes` is null if the file has no trained head.
        *(
            {**_OPTIONAL, "classes": None, "hyperparameters": known[x["source"]], **x}
            for x in published
        ),
        *_checked(places.read_manifest(str(SHIPPED)), str(SHIPPED)),
    )


def all_entries(model: str | None = None) -> list[dict]:
    """The checkpoints of one model, or of all; those of the user's place come first."""
    found = [*_own_entries(), *entries()]
    return [x for x in found if model is None or plain_name(x["model"]) == plain_name(model)]


def find_entry(model: str, tag: str, offline: bool = False) -> dict | None:
    """The entry of a model and tag, or `None`.

    Args:
        model: A constructor's name; case and separators are ignored.
        tag: Such as `"imagenet"`.
        offline: The package comes before the user's place. By default it comes after it, as for
            `weights=`.
    """
    for found in (entries, _own_entries) if offline else (_own_entries, entries):
        for entry in found():
            if entry["tag"] == tag and plain_name(entry["model"]) == plain_name(model):
                return entry
    return None


@functools.cache
def class_names(label_set: str) -> tuple[tuple[str, str], ...]:
    """`(WordNet id, name)` of each class of `"imagenet"`, `"imagenet21k"`, ... ."""
    text = gzip.decompress((_CLASS_NAMES / f"{label_set}.txt.gz").read_bytes()).decode()
    pairs = (line.split(" ", 1) for line in text.splitlines())
    return tuple((wordnet, name) for wordnet, name in pairs)


def names_in(entry: dict) -> tuple[str, ...] | None:
    """One name per class of a checkpoint, or `None`."""
    names = entry["class_names"]
    if isinstance(names, str):
        return tuple(name for _, name in class_names(names))
    return None if names is None else tuple(names)


def _own_entries():
    place = places.own()
    return [] if place is None else _checked(places.read_manifest(place), place)


def _checked(found, place):
    """The entries of a place's manifest, complete.

    Raises:
        ValueError: If an entry lacks a key or has a value of another type; names all of them.
    """
    checked = []
    for index, entry in enumerate(found):
        problems = ["it must be an object"]
        if isinstance(entry, dict):
            entry = {**_OPTIONAL, "hyperparameters": {}, **entry, "place": place}
            problems = [
                f"`{key}` must be {kind}"
                for key, (kind, fits) in _RULES.items()
                if not fits(entry.get(key)) and not (entry.get(key) is None and key in _OPTIONAL)
            ]
            names = None if problems else names_in(entry)
            if names is not None and len(names) != entry["classes"]:
                problems = [f"`class_names` has {len(names)} names for {entry['classes']} classes"]
        if problems:
            raise ValueError(
                f"Entry {index} of the manifest in {fetch.redacted(place)} is malformed: "
                f"{'; '.join(problems)}. Received: {str(entry)[:300]}"
            )
        known = {key: entry[key] for key in ("sha256", "sha256_prefix", "size")}
        checked.append({**entry, "files": [{"url": places.address(place, entry["file"]), **known}]})
    return checked


def _is_text(x):
    return isinstance(x, str) and x != ""


def _is_count(x):
    return type(x) is int and x > 0


def _are_numbers(x):
    return isinstance(x, list) and len(x) == 3 and all(isinstance(y, int | float) for y in x)


def _are_class_names(x):
    if isinstance(x, str):
        return x in [name.removesuffix(".txt.gz") for name in os.listdir(_CLASS_NAMES)]
    return isinstance(x, list) and all(map(_is_text, x))


_PREPROCESSING = {
    **dict.fromkeys(["mean", "std"], _are_numbers),
    "crop_fraction": lambda x: isinstance(x, int | float),
    "interpolation": _is_text,
}
# Key -> (what its value must be, the check of it).
_RULES = {
    **dict.fromkeys(["model", "tag", "dataset", "license"], ("a text", _is_text)),
    **dict.fromkeys(["classes", "image_size", "params", "size"], ("a count", _is_count)),
    "file": ("a plain file name", cache.is_filename),
    "sha256": ("64 hex digits", functools.partial(cache.is_hex, at_least=64)),
    "sha256_prefix": ("8 to 64 hex digits", functools.partial(cache.is_hex, at_least=8)),
    "hyperparameters": ("an object", lambda x: isinstance(x, dict)),
    "source": ("a known layout", lambda x: x in [source.name for source in sources.sources()]),
    "class_names": ("a list of texts or the name of a known set", _are_class_names),
    "preprocessing": (
        f"an object of {', '.join(_PREPROCESSING)}",
        lambda x: (
            isinstance(x, dict)
            and all(
                key in _PREPROCESSING and _PREPROCESSING[key](value) for key, value in x.items()
            )
        ),
    ),
}
