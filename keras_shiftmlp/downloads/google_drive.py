"""Downloads from Google Drive, through gdown."""

import os
import re
import tempfile
from pathlib import Path

_ADDRESS = re.compile(r"https://drive\.google\.com/file/d/([\w-]+)(/view)?(\?[\w=&]*)?")


def file_id(address: str) -> str | None:
    """The id in the address of a Google Drive file; `None` for another address."""
    match = _ADDRESS.fullmatch(address)
    return None if match is None else match[1]


def download(address: str, path: Path) -> None:
    """Downloads `https://drive.google.com/file/d/<id>/view` to a path.

    Raises:
        OSError: If the file cannot be downloaded.
        ImportError: If gdown is not installed.
    """
    try:
        import gdown
        from gdown.exceptions import DownloadError
    except ImportError as error:
        raise ImportError(
            "Google Drive needs gdown: pip install 'keras_shiftmlp[drive]'"
        ) from error
    # In a fresh folder: gdown would follow a link that has the name of its output.
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        fresh = Path(temporary, "download")
        try:
            gdown.download(id=file_id(address), output=str(fresh), quiet=True, timeout=30)
        except DownloadError as error:
            raise ConnectionError(f"{address} cannot be downloaded: {error}") from error
        os.replace(fresh, path)
