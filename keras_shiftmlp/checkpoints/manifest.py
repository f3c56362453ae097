"""What is published: one entry per model and tag, from the authors' own pages."""

import functools
import gzip
import json
import os
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

from keras_shiftmlp.checkpoints import download
from keras_shiftmlp.checkpoints.digest import verified

ENVIRONMENT = "KERAS_SHIFTMLP_WEIGHTS"
MANIFEST_BYTES = 2**24


@functools.cache
def entries() -> list[dict]:
    """The checkpoints that the package knows, in the order of `manifest.json`."""
    file = resources.files("keras_shiftmlp.checkpoints").joinpath("manifest.json")
    return json.loads(file.read_text())


def find_entry(model: str, tag: str) -> dict | None:
    """The entry of a model and tag, or `None`."""
    return next((entry for entry in _entries_of(model) if entry["tag"] == tag), None)


def own_entries() -> list[dict]:
    """The entries of `manifest.json` in the place that KERAS_SHIFTMLP_WEIGHTS names, if any."""
    place = os.environ.get(ENVIRONMENT)
    if not place:
        return []
    try:
        if place.startswith(("http://", "https://")):
            # Read afresh each time: a lab's list grows.
            with urllib.request.urlopen(f"{place.rstrip('/')}/manifest.json", timeout=30) as page:
                text = page.read(MANIFEST_BYTES).decode()
        else:
            text = in_place(place, "manifest.json").read_text()
        found = json.loads(text)
    except (FileNotFoundError, urllib.error.HTTPError):
        return []  # a folder or mirror of the authors' files alone
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{ENVIRONMENT} must name a folder, URL or hf:// repository whose manifest.json, if "
            f"there is one, can be read. Received: `{ENVIRONMENT}={place!r}` ({error})"
        ) from error
    return [{**entry, "place": place} for entry in found]


def in_place(
    place: str, filename: str, sha256: str | None = None, sha256_prefix: str | None = None
) -> Path:
    """A file of a folder, a URL or a `hf://` repository, verified where a hash is given.

    Raises:
        FileNotFoundError: Where a folder or a server does not have it.
        ValueError: Where it is another file than the one published.
    """
    verification = {"sha256": sha256, "sha256_prefix": sha256_prefix}
    if place.startswith("hf://"):
        return verified(from_hub(f"{place.rstrip('/')}/{filename}"), sha256, sha256_prefix)
    if place.startswith(("http://", "https://")):
        try:
            return download.fetch([f"{place.rstrip('/')}/{filename}"], filename, **verification)
        except download.DownloadError as error:
            raise FileNotFoundError(str(error)) from error
    path = Path(place, filename)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist ({ENVIRONMENT}={place})")
    return verified(path, sha256, sha256_prefix)


def from_hub(address: str) -> Path:
    """The file of a `hf://owner/repo/file` address, through huggingface_hub.

    Raises:
        ValueError: For an address of another form.
        ImportError: Where huggingface_hub is not installed.
    """
    parts = address.removeprefix("hf://").split("/")
    if len(parts) < 2 or not all(parts):
        raise ValueError(
            f"`weights` must be of the form hf://owner/repo or hf://owner/repo/file. "
            f"Received: `weights={address!r}`"
        )
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError("hf:// needs huggingface_hub: pip install huggingface_hub") from error
    owner, repository, *file = parts
    name = "/".join(file) or "model.safetensors"
    return Path(huggingface_hub.hf_hub_download(f"{owner}/{repository}", name))


@functools.cache
def class_names(label_set: str) -> tuple[tuple[str, str], ...]:
    """`(WordNet id, name)` of each class of `"imagenet"`, `"imagenet21k"`, ... ."""
    folder = resources.files("keras_shiftmlp.checkpoints").joinpath("class_names")
    text = gzip.decompress(folder.joinpath(f"{label_set}.txt.gz").read_bytes()).decode()
    return tuple(tuple(line.split(" ", 1)) for line in text.splitlines())


def list_weights(model: str | None = None) -> list[dict]:
    """The published checkpoints, of one model or of all.

    Args:
        model: A constructor's name; case and separators are ignored.

    Returns:
        For each checkpoint its model, tag, dataset, image size, top-1 with who published it,
        number of classes, licence, host and what its file is verified by.

    Example:

    >>> [row["tag"] for row in list_weights("MixerB32")]
    ['imagenet_gsam', 'imagenet_sam']
    """
    return [_row(entry) for entry in _entries_of(model)]


def weights_info(model: str, tag: str) -> dict:
    """Everything the manifest says about one checkpoint.

    Raises:
        ValueError: Where there is no such checkpoint.

    Example:

    >>> weights_info("MixerB16", "imagenet")["top1_source"]
    'Mixer paper'
    """
    entry = find_entry(model, tag)
    if entry is None:
        raise ValueError(f"No such checkpoint. Received: `model={model!r}`, `tag={tag!r}`")
    return dict(entry)


def _plain(name):
    return "".join(character for character in name.lower() if character.isalnum())


def _entries_of(model):
    """The entries of a model, or of all: the user's own first, then the package's."""
    found = [*own_entries(), *entries()]
    return [x for x in found if model is None or _plain(x["model"]) == _plain(model)]


def _row(entry):
    if entry.get("sha256"):
        verified_by = "sha256"
    elif entry.get("sha256_prefix"):
        verified_by = f"sha256 begins with {entry['sha256_prefix']}"
    else:
        verified_by = "the server's digest, then the first download"
    host = entry.get("place") or entry["url"].split("/")[2]
    keys = ("model", "tag", "dataset", "image_size", "classes", "top1", "top1_source", "license")
    return {**{key: entry.get(key) for key in keys}, "host": host, "verified_by": verified_by}
