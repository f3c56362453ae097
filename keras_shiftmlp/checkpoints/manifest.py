"""What is published: by the authors, with the package, and in a place of the user's own."""

import functools
import gzip
import json
import re
from importlib import resources
from pathlib import Path

from keras_shiftmlp.checkpoints import cache, places, sources, web

# The checkpoints that come with the package.
SHIPPED = Path(__file__).parent / "shipped"
COLUMNS = (
    "model", "tag", "dataset", "image_size", "classes", "params", "top1", "top1_source", "license",
    "host", "size", "verified_by",
)  # fmt: skip
_OPTIONAL = dict.fromkeys(
    ["params", "top1", "top1_source", "class_names", "preprocessing", "source", "sha256",
     "sha256_prefix", "size"]
)  # fmt: skip
_PREPROCESSING = {"mean", "std", "crop_fraction", "interpolation"}


@functools.cache
def entries() -> tuple[dict, ...]:
    """The checkpoints that the package knows: the authors', then those that come with it."""
    published = json.loads(Path(__file__).with_name("manifest.json").read_text("utf-8"))
    known = {source.name: source.hyperparameters for source in sources.sources()}
    return (
        *({**_OPTIONAL, "hyperparameters": known[x["source"]], **x} for x in published),
        *_checked(places.read_manifest(str(SHIPPED)), str(SHIPPED)),
    )


def find_entry(model: str, tag: str, offline: bool = False) -> dict | None:
    """The entry of a model and tag, or `None`.

    Args:
        model: A constructor's name; case and separators are ignored.
        tag: Such as `"imagenet"`.
        offline: Looks into the package first, and into the user's place only for a tag that the
            package does not know. By default the user's place comes first, as for `weights=`.
    """
    for found in (entries, _own_entries) if offline else (_own_entries, entries):
        for entry in found():
            if entry["tag"] == tag and plain_name(entry["model"]) == plain_name(model):
                return entry
    return None


def list_weights(model: str | None = None) -> list[dict]:
    """The published checkpoints, of one model or of all; those of the user's place come first.

    Args:
        model: A constructor's name; case and separators are ignored.

    Returns:
        For each checkpoint its model, tag, dataset, image size, number of classes and of
        parameters, top-1 with its source, licence, host, bytes of its file (Google's are rounded)
        and what the file is verified by; `None` for what is not published. Host, size and
        verification are those of the first source.

    Raises:
        ValueError: If the manifest of the place is malformed.
        OSError: If the place cannot be read.

    Example:

    >>> [row["tag"] for row in list_weights("MixerB32")]
    ['imagenet_gsam', 'imagenet_sam']
    """
    found = [*_own_entries(), *entries()]
    return [_row(x) for x in found if model is None or plain_name(x["model"]) == plain_name(model)]


def weights_info(model: str, tag: str) -> dict:
    """Everything the manifest says about one checkpoint; the user's place comes first.

    Raises:
        ValueError: If there is no such checkpoint, or the manifest of the place is malformed.
        OSError: If the place cannot be read.

    Example:

    >>> weights_info("MixerB16", "imagenet")["top1_source"]
    'Mixer paper'
    """
    return _info(model, tag, offline=False)


def published_info(model: str, tag: str) -> dict:
    """As `weights_info`, but the package comes first: no network for a tag that it knows.

    Functions of pixels use it. If a lab's place holds another checkpoint under a published tag,
    pass the model to them, not the name.
    """
    return _info(model, tag, offline=True)


def _info(model, tag, offline):
    entry = find_entry(model, tag, offline)
    if entry is None:
        raise ValueError(f"No such checkpoint. Received: `model={model!r}`, `tag={tag!r}`")
    return dict(entry)


@functools.cache
def class_names(label_set: str) -> tuple[tuple[str, str], ...]:
    """`(WordNet id, name)` of each class of `"imagenet"`, `"imagenet21k"`, ... ."""
    folder = resources.files("keras_shiftmlp.checkpoints").joinpath("class_names")
    text = gzip.decompress(folder.joinpath(f"{label_set}.txt.gz").read_bytes()).decode()
    return tuple(tuple(line.split(" ", 1)) for line in text.splitlines())


def plain_name(name: str) -> str:
    """A model's name as it is compared: without case and separators."""
    return "".join(character for character in name.lower() if character.isalnum())


def _own_entries():
    place = places.own()
    return [] if place is None else _checked(places.read_manifest(place), place)


def _checked(found, place):
    """The entries of a place's manifest, complete.

    Raises:
        ValueError: If an entry lacks a key or has a value of another type; names all of them.
    """
    for index, entry in enumerate(found):
        problems = list(_problems(entry))
        if problems:
            raise ValueError(
                f"Entry {index} of the manifest in {web.redacted(place)} is malformed: "
                f"{'; '.join(problems)}. Received: {str(entry)[:300]}"
            )
    return [{**_OPTIONAL, "hyperparameters": {}, **x, "place": place} for x in found]


def _problems(entry):
    """What is wrong with an entry, in words."""
    if not isinstance(entry, dict):
        yield "it must be an object"
        return
    entry = {**_OPTIONAL, "hyperparameters": {}, **entry}
    for key in ("model", "tag", "dataset", "license", "file"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            yield f"`{key}` must be a text"
    for key in ("classes", "image_size"):
        if type(entry.get(key)) is not int or entry[key] < 1:
            yield f"`{key}` must be a whole number above 0"
    for key in ("params", "size"):
        if entry[key] is not None and (type(entry[key]) is not int or entry[key] < 0):
            yield f"`{key}` must be a whole number or null"
    for key, digits in (("sha256", "64"), ("sha256_prefix", "8,64")):
        pattern = f"[0-9a-fA-F]{{{digits}}}"
        if entry[key] is not None and not re.fullmatch(pattern, str(entry[key])):
            yield f"`{key}` must be {digits.replace(',', ' to ')} hex digits or null"
    if not isinstance(entry["hyperparameters"], dict):
        yield "`hyperparameters` must be an object"
    if entry["source"] not in (None, *(source.name for source in sources.sources())):
        yield "`source` must be a layout that the package knows, or null"
    try:
        if isinstance(entry.get("file"), str):
            cache.check_filename(entry["file"])
    except ValueError as error:
        yield f"`file`: {error}"
    names = entry["class_names"]
    if isinstance(names, str):
        try:
            names = [name for _, name in class_names(names)]
        except (OSError, ValueError):
            names = [None]
    if names is not None and not (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and len(names) == entry.get("classes")
    ):
        yield "`class_names` must be one text per class, the name of a known set, or null"
    facts = entry["preprocessing"]
    if facts is not None and not (isinstance(facts, dict) and _is_preprocessing(facts)):
        yield f"`preprocessing` must be an object with {sorted(_PREPROCESSING)}, or null"


def _is_preprocessing(facts):
    triples = [facts.get("mean", [0, 0, 0]), facts.get("std", [1, 1, 1])]
    return (
        set(facts) <= _PREPROCESSING
        and all(isinstance(x, list) and len(x) == 3 for x in triples)
        and all(isinstance(x, int | float) for triple in triples for x in triple)
        and isinstance(facts.get("crop_fraction", 1.0), int | float)
        and isinstance(facts.get("interpolation", ""), str)
    )


def _row(entry):
    first = entry if "place" in entry else entry["files"][0]
    address = entry.get("place") or first["url"]
    if first.get("sha256"):
        verified_by = "sha256"
    elif address.startswith("hf://"):
        verified_by = "the Hub's sha256"
    elif first.get("sha256_prefix"):
        verified_by = f"checksum {first['sha256_prefix']} (start of the sha256)"
    else:
        verified_by = "the server's digest, then the first download"
    if "place" in entry:
        host = "in the package" if address == str(SHIPPED) else web.redacted(address)
    else:
        host = "huggingface.co" if address.startswith("hf://") else address.split("/")[2]
    facts = {**entry, "host": host, "size": first.get("size"), "verified_by": verified_by}
    return {key: facts[key] for key in COLUMNS}
