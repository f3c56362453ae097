"""Is this the file that was published?"""

import hashlib
from pathlib import Path


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(path: Path, sha256_: str | None, prefix: str | None) -> Path:
    """`path` itself, if its SHA-256 is the published one or begins with the published prefix.

    Raises:
        ValueError: Where it is not.
    """
    expected = sha256_ or prefix
    if expected:
        received = sha256(path)
        if not received.startswith(expected):
            raise ValueError(
                f"The SHA-256 of {path} should {'be' if sha256_ else 'begin with'} {expected}. "
                f"Received: {received}"
            )
    return path
