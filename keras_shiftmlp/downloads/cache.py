"""The cache of downloaded files: their folder, their hashes and their locks."""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock

from keras_shiftmlp.downloads import keras_home

logger = logging.getLogger("keras_shiftmlp")

WAIT = 5.0  # seconds for the lock before the log says what it waits for
OWN_SUFFIXES = (".part", ".part.json", ".sha256", ".lock")

_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)


def cache_folder(address: str | None = None) -> Path:
    """The folder of downloaded checkpoints, under `KERAS_HOME` or `~/.keras`.

    Args:
        address: A place or file other than the published ones. Each has a folder of its own, so
            that equal file names of two places never mix.
    """
    folder = keras_home() / "models" / "keras_shiftmlp"
    return folder if address is None else folder / digest_of(address)[:16]


def discard(path: Path) -> None:
    """Removes a file of the cache, and its hash with it; a file elsewhere stays."""
    if path.is_relative_to(cache_folder()):
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)


def digest_of(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path, algorithm: str = "sha256") -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        new = functools.partial(hashlib.new, algorithm, usedforsecurity=False)
        return hashlib.file_digest(file, new).hexdigest()


def verified(path: Path, sha256: str | None = None) -> Path:
    """`path` itself, if its SHA-256 begins with the published digits.

    Raises:
        ValueError: If it differs.
        FileNotFoundError: If there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    if sha256:
        actual = sha256_of(path)
        if not actual.startswith(sha256.lower()):
            raise ValueError(f"{path}: expected the sha256 {sha256.lower()}, received {actual}")
    return path


def is_filename(x: Any) -> bool:
    """Whether `x` is a plain file name, without a folder, that the cache can keep."""
    return (
        isinstance(x, str)
        and x not in ("", ".", "..")
        and x.isprintable()
        and not set(x) & set('/\\:*?"<>|')
        and not x.endswith(OWN_SUFFIXES)
    )


def is_hex(x: Any, at_least: int) -> bool:
    """Whether `x` is `at_least` to 64 hex digits."""
    return isinstance(x, str) and re.fullmatch(f"[0-9a-fA-F]{{{at_least},64}}", x) is not None


@dataclasses.dataclass(frozen=True)
class CachedFile:
    """A wanted file: its path, what was published about it, and the files beside it.

    `<name>.sha256` has the hash of the first download. `<name>.part` is an incomplete download,
    and `<name>.part.json` has its URL and what the server declared.
    """

    path: Path
    sha256: str | None  # the published hash, or its first digits
    looks_right: Callable[[Path], object] | None

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @property
    def part(self) -> Path:
        return self.beside(".part")

    def known_hash(self) -> str | None:
        """The published hash, else that of the first download if it has the published digits."""
        published = (self.sha256 or "").lower()
        if len(published) == 64:
            return published
        try:
            words = self.beside(".sha256").read_text("utf-8").split()
        except (OSError, UnicodeDecodeError):
            return None
        valid = bool(words) and is_hex(words[0], 64) and words[0].startswith(published)
        return words[0] if valid else None

    def is_right(self) -> bool:
        """Whether the file exists with the known content. The log says what is wrong with it."""
        if not self.path.is_file():
            return False
        try:
            self.check(self.path)
        except ValueError as error:
            logger.warning("%s will be downloaded again: %s", self.path, error)
            return False
        return True

    def check(self, path: Path, md5: str | None = None) -> str:
        """The sha256 of `path`, the file itself or its complete part.

        Raises:
            ValueError: If the content is not what was published, what was first downloaded, or
                what the server declared as `md5`. A match with a published hash is enough.
        """
        known = self.known_hash()
        actual = sha256_of(verified(path, self.sha256))
        if actual == (self.sha256 or "").lower():
            return actual
        if md5 and sha256_of(path, "md5") != md5:
            raise ValueError(f"the server declared the md5 {md5}, the content has another")
        if known not in (None, actual):
            raise ValueError(
                f"expected the sha256 {known}, as at the first download, received {actual}; "
                f"if the change is known to be right, delete {self.beside('.sha256')}"
            )
        if not known and self.looks_right:
            self.looks_right(path)
        return actual

    def remember(self, sha256: str) -> None:
        """Writes the hash in the format of the sha256sum command, which can check the cache."""
        folder = self.path.parent
        published = len(self.sha256 or "") == 64
        if not published and os.name == "posix" and os.stat(folder).st_mode & 0o022:
            warn_once(
                f"{folder} can be written by other users, who can replace a file and its "
                "remembered hash"
            )
        try:
            write_text(self.beside(".sha256"), f"{sha256}  {self.path.name}\n")
        except OSError as error:
            if error.errno not in _NO_RIGHT:
                raise
            logger.warning("The sha256 of %s is not remembered: no right to write", self.path)

    def notes(self) -> dict[str, Any]:
        """The notes on the part file; empty if they cannot be read."""
        try:
            notes = json.loads(self.beside(".part.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        complete = isinstance(notes, dict) and {"url", "validator", "total", "md5"} <= set(notes)
        return notes if complete else {}

    def part_size(self) -> int:
        """Bytes of the part file; 0 for a link, which would lead the download elsewhere."""
        try:
            found = os.lstat(self.part)
        except FileNotFoundError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else 0

    def start_part(self, notes: dict[str, Any]) -> None:
        self.discard_part()
        write_text(self.beside(".part.json"), json.dumps(notes))

    def discard_part(self) -> None:
        self.part.unlink(missing_ok=True)
        self.beside(".part.json").unlink(missing_ok=True)

    def accept_part(self, sha256: str) -> None:
        """Gives the checked part its final name. First the hash: a cached file always has one."""
        self.remember(sha256)
        os.replace(self.part, self.path)
        self.discard_part()


def write_text(path: Path, text: str) -> None:
    """Writes a new file. If `path` is a link, the link is replaced and its target stays."""
    path.unlink(missing_ok=True)
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@functools.cache
def warn_once(text: str) -> None:
    logger.warning("%s", text)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes out. The system releases the lock of a process that dies."""
    lock = filelock.FileLock(path)
    try:
        try:
            lock.acquire(timeout=WAIT)
        except filelock.Timeout:
            logger.warning("%s: waiting for another process that downloads this file", path)
            lock.acquire()
    except OSError as error:
        # In a read-only folder no process can write, so none needs the lock.
        if error.errno not in _NO_RIGHT:
            raise
    try:
        yield
    finally:
        lock.release()
