"""Files of Google Drive, through gdown."""

import os
import re
import tempfile
from pathlib import Path

from keras_shiftmlp.checkpoints.cache import cache_folder, locked, verified

_ADDRESS = re.compile(r"https://drive\.google\.com/file/d/([\w-]+)(/view)?(\?[\w=&]*)?")


def file_id(address: str) -> str | None:
    """The id in the address of a Google Drive file; `None` for another address."""
    match = _ADDRESS.fullmatch(address)
    return None if match is None else match[1]


def file(
    address: str,
    name: str,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    folder: Path | None = None,
) -> Path:
    """The file of a Google Drive address, which is `name` in the cache.

    Args:
        address: `https://drive.google.com/file/d/<id>/view`.
        name: Name of the file in the cache.
        sha256: The published hash, 64 hex digits.
        sha256_prefix: Its first digits, if only they are published.
        folder: Folder of the cache, by default that of the published files.

    Raises:
        ValueError: If the content is not a checkpoint or not the published one.
        OSError: If the file cannot be downloaded.
        ImportError: If gdown is not installed.
    """
    path = (folder or cache_folder()) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f"{name}.lock")):
        if not path.exists():
            _download(address, path, sha256, sha256_prefix)
    return verified(path, sha256, sha256_prefix)


def _download(address, path, sha256, sha256_prefix):
    """Puts the file at `path` once its content is known to be right."""
    from keras_shiftmlp.checkpoints import containers  # imports NumPy

    try:
        import gdown
        from gdown.exceptions import DownloadError
    except ImportError as error:
        raise ImportError(
            "Google Drive needs gdown: pip install 'keras_shiftmlp[drive]'"
        ) from error
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        fresh = Path(temporary) / "download"
        try:
            gdown.download(id=file_id(address), output=str(fresh), quiet=True, timeout=30)
        except DownloadError as error:
            raise ConnectionError(f"{address} cannot be downloaded: {error}") from error
        containers.container(fresh)
        verified(fresh, sha256, sha256_prefix)
        os.replace(fresh, path)
