"""A lab's own place of checkpoints: a folder, a URL or a Hugging Face repository.

The environment variable KERAS_SHIFTMLP_WEIGHTS names it. Its `manifest.json` lists its checkpoints.
"""

import functools
import json
import os
import tempfile
import urllib.parse
from pathlib import Path

from keras_shiftmlp.checkpoints import cache, containers, fetch, hugging_face

ENVIRONMENT = "KERAS_SHIFTMLP_WEIGHTS"
MANIFEST_BYTES = 2**24


def own() -> str | None:
    """The place that KERAS_SHIFTMLP_WEIGHTS names, or `None`."""
    return os.environ.get(ENVIRONMENT, "").rstrip("/") or None


def read_manifest(place: str) -> list:
    """What `manifest.json` of a place holds; empty if the place has no such file.

    The manifest of a URL or a repository is read once per process, that of a folder every time.

    Raises:
        ValueError: If the folder does not exist or the file is not a list in JSON.
        OSError: If a URL or a repository does not answer, or refuses to.
    """
    try:
        text = _remote_manifest(place) if _is_remote(place) else _local_manifest(place)
        found = json.loads(text)
        if not isinstance(found, list):
            raise ValueError(f"it must be a list of entries, not {type(found).__name__}")
    except FileNotFoundError:
        return []
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{ENVIRONMENT} must name a folder, URL or hf:// repository whose manifest.json is a "
            f"list of entries. Received: `{ENVIRONMENT}={fetch.redacted(place)!r}` ({error})"
        ) from error
    except OSError as error:
        raise fetch.DownloadError(
            f"The manifest of `{ENVIRONMENT}={fetch.redacted(place)!r}` cannot be read, so it is "
            f"unknown which checkpoints are there. Unset {ENVIRONMENT} to do without. ({error})"
        ) from error
    return found


def file(
    place: str,
    name: str,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    size: int | None = None,
) -> Path:
    """A file of a place, in its folder or in a cache folder that belongs to this place alone.

    Raises:
        FileNotFoundError: If the place does not have it.
        ValueError: If `name` is not a plain file name, or the content is not what was published.
        OSError: If it cannot be downloaded.
    """
    cache.check_filename(name)
    if place.startswith("hf://"):
        return hugging_face.file(f"{place}/{name}", sha256, sha256_prefix)
    if not _is_remote(place):
        if not Path(place, name).is_file():
            raise FileNotFoundError(f"{Path(place, name)} does not exist")
        return cache.verified(Path(place, name), sha256, sha256_prefix)
    return fetch.fetch(
        _address(place, name),
        name,
        sha256=sha256,
        sha256_prefix=sha256_prefix,
        max_bytes=most_bytes(size),
        looks_right=containers.container,
        folder=cache.cache_folder(place),
    )


def most_bytes(size: int | None) -> int | None:
    """The bound for a file of about `size` bytes; some publishers round their sizes."""
    return None if size is None else size + size // 50 + 2**20


def _is_remote(place):
    return place.startswith(("http://", "https://", "hf://"))


def _address(place, name):
    parts = urllib.parse.urlsplit(place)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{urllib.parse.quote(name)}").geturl()


def _local_manifest(place):
    if not Path(place).is_dir():
        raise ValueError("there is no such folder")
    return Path(place, "manifest.json").read_text("utf-8")


@functools.cache
def _remote_manifest(place):
    if place.startswith("hf://"):
        return file(place, "manifest.json").read_text("utf-8")
    # Not into the cache: the next process asks again.
    with tempfile.TemporaryDirectory() as folder:
        address, most = _address(place, "manifest.json"), MANIFEST_BYTES
        try:
            path = fetch.fetch(address, "manifest.json", max_bytes=most, folder=Path(folder))
        except FileNotFoundError:
            return "[]"
        return path.read_text("utf-8")
