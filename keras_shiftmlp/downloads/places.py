"""A lab's own place of checkpoints: a folder, a URL or a Hugging Face repository.

The environment variable KERAS_SHIFTMLP_WEIGHTS names it. Its `manifest.json` lists its checkpoints.
"""

import functools
import json
import os
import tempfile
import urllib.parse
from pathlib import Path

from keras_shiftmlp.downloads import fetch, hugging_face

ENVIRONMENT = "KERAS_SHIFTMLP_WEIGHTS"
MANIFEST_BYTES = 2**24


def own() -> str | None:
    """The place that KERAS_SHIFTMLP_WEIGHTS names, or `None`."""
    return os.environ.get(ENVIRONMENT, "").rstrip("/") or None


def address(place: str, name: str) -> str:
    """The path, URL or `hf://` address of a file in a place."""
    if not place.startswith(("http://", "https://")):
        return f"{place}/{name}"
    parts = urllib.parse.urlsplit(place)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{urllib.parse.quote(name)}").geturl()


def read_manifest(place: str) -> list:
    """What `manifest.json` of a place holds; empty if the place has no such file.

    The manifest of a URL or a repository is read once per process, that of a folder every time.

    Raises:
        ValueError: If the folder does not exist or the file is not a list in JSON.
        OSError: If a URL or a repository does not answer, or refuses to.
    """
    shown = f"`{ENVIRONMENT}={fetch.redacted(place)!r}`"
    try:
        remote = place.startswith(("http://", "https://", "hf://"))
        if not remote and not Path(place).is_dir():
            raise ValueError("there is no such folder")
        text = _remote_manifest(place) if remote else _text(Path(place, "manifest.json"))
        found = json.loads(text)
        if not isinstance(found, list):
            raise ValueError(f"it must be a list of entries, not {type(found).__name__}")
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{ENVIRONMENT} must name a folder, URL or hf:// repository whose manifest.json is a "
            f"list of entries. Received: {shown} ({error})"
        ) from error
    except OSError as error:
        raise fetch.DownloadError(
            f"The manifest of {shown} cannot be read, so it is unknown what is there. "
            f"Unset {ENVIRONMENT} to do without. ({error})"
        ) from error
    return found


def _text(path):
    return path.read_text("utf-8") if path.is_file() else "[]"


@functools.cache
def _remote_manifest(place):
    url = address(place, "manifest.json")
    try:
        if place.startswith("hf://"):
            return _text(hugging_face.file(url))
        # Not into the cache: the next process asks again.
        with tempfile.TemporaryDirectory() as folder:
            name = "manifest.json"
            return _text(fetch.fetch(url, name, max_bytes=MANIFEST_BYTES, folder=Path(folder)))
    except FileNotFoundError:
        return "[]"
