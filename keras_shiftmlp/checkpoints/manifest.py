"""What is published: by the authors, with the package, and in a place of the user's own."""

import functools
import gzip
import json
import os
import re
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

from keras_shiftmlp.checkpoints import fetch as download
from keras_shiftmlp.checkpoints.containers import readers

ENVIRONMENT = "KERAS_SHIFTMLP_WEIGHTS"
# The checkpoints that come with the package, written there by `weights/publish.py`.
SHIPPED = Path(__file__).parent / "shipped"
MANIFEST_BYTES = 2**24
ENDINGS = (".h5", ".npz", ".pth", ".pt", ".safetensors")
COLUMNS = (
    "model", "tag", "dataset", "image_size", "classes", "params", "top1", "top1_source", "license",
    "host", "size", "verified_by",
)  # fmt: skip


@functools.cache
def entries() -> list[dict]:
    """The checkpoints that the package knows: the authors', then those that come with it."""
    found = json.loads(Path(__file__).with_name("manifest.json").read_text())
    shipped = json.loads((SHIPPED / "manifest.json").read_text())
    return found + [{**entry, "place": str(SHIPPED)} for entry in shipped]


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
        return download.verified(from_hub(f"{place.rstrip('/')}/{filename}"), **verification)
    if place.startswith(("http://", "https://")):
        try:
            url = f"{place.rstrip('/')}/{filename}"
            return download.fetch([url], filename, **verification, looks_right=readers.read)
        except download.DownloadError as error:
            raise FileNotFoundError(str(error)) from error
    path = Path(place, filename)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist ({ENVIRONMENT}={place})")
    return download.verified(path, **verification)


def from_hub(address: str) -> Path:
    """The file of a `hf://owner/repo/file` address, through huggingface_hub and its cache.

    Without a file it is `model.safetensors`, else the only weights that the repository has.

    Raises:
        ValueError: For an address of another form, several files to choose from, or a file that
            is not the one that the Hub says it is.
        OSError: Where it cannot be had; `FileNotFoundError` where the repository lacks it.
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
        from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError
    except ImportError as error:
        raise ImportError(
            "hf:// needs huggingface_hub: pip install 'keras_shiftmlp[hf]'"
        ) from error
    repository, name = "/".join(parts[:2]), "/".join(parts[2:])
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, name or "model.safetensors"))
    except LocalEntryNotFoundError as error:
        raise ConnectionError(f"{address} is not in the cache, nor to be had: {error}") from error
    except RemoteEntryNotFoundError as error:
        if name:
            raise FileNotFoundError(f"{address} does not exist") from error
        found = [x for x in huggingface_hub.list_repo_files(repository) if x.endswith(ENDINGS)]
        if len(found) != 1:
            raise ValueError(
                f"`weights` must name one file of the repository, such as {found[:9]}. "
                f"Received: `weights={address!r}`"
            ) from error
        return from_hub(f"{address}/{found[0]}")
    # The cache keeps a large file under its SHA-256, but takes it unseen.
    kept = path.resolve()
    if re.fullmatch("[0-9a-f]{64}", kept.name):
        try:
            download.verified(kept, kept.name)
        except ValueError:
            path.unlink()
            kept.unlink(missing_ok=True)
            raise
    return path


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
        For each checkpoint its model, tag, dataset, image size, number of classes and of
        parameters, top-1 with who published it, licence, host, bytes of its file (of Google's,
        as their listing rounds them) and what the file is verified by; `None` for what nobody
        has published.

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


def plain_name(name: str) -> str:
    """A model's name as it is compared: without case and separators."""
    return "".join(character for character in name.lower() if character.isalnum())


def _entries_of(model):
    """The entries of a model, or of all: the user's own first, then the package's."""
    found = [*own_entries(), *entries()]
    return [x for x in found if model is None or plain_name(x["model"]) == plain_name(model)]


def _row(entry):
    if entry.get("sha256"):
        verified_by = "sha256"
    elif entry.get("sha256_prefix"):
        verified_by = f"sha256 begins with {entry['sha256_prefix']}"
    else:
        verified_by = "the server's digest, then the first download"
    host = entry.get("place") or entry["url"].split("/")[2]
    host = "in the package" if host == str(SHIPPED) else host
    facts = {**entry, "host": host, "verified_by": verified_by}
    return {key: facts.get(key) for key in COLUMNS}
