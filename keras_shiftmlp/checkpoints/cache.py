"""The cache of downloaded files: where they are, what is known of them, who may write them."""

import contextlib
import dataclasses
import errno
import functools
import hashlib
import logging
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import filelock

logger = logging.getLogger("keras_shiftmlp")

WAIT = 5.0  # seconds for the lock before the log says what it waits for

_CHUNK = 1 << 20
OWN_SUFFIXES = (".part", ".part.json", ".sha256", ".lock", ".tmp")
_NO_RIGHT = (errno.EACCES, errno.EPERM, errno.EROFS)

# Header of an answer -> (algorithm, hex digest of the whole file).
Digests = Mapping[str, tuple[str, str]]


def cache_folder(address: str | None = None) -> Path:
    """The folder of downloaded checkpoints, under `KERAS_HOME` or `~/.keras`.

    Args:
        address: A place or file other than the published ones. Each has a folder of its own, so
            that equal file names of two places never mix.
    """
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    folder = Path(home).expanduser() / "models" / "keras_shiftmlp"
    return folder if address is None else folder / digest_of(address)[:16]


def discard(path: Path) -> None:
    """Removes a file of the cache, and its hash with it; a file elsewhere stays."""
    if path.is_relative_to(cache_folder()):
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashes_of(path, {"sha256"})["sha256"]


def verified(path: Path, sha256: str | None = None, sha256_prefix: str | None = None) -> Path:
    """`path` itself, if its SHA-256 is the published one or begins with the published digits.

    Raises:
        ValueError: If it differs.
    """
    actual = sha256_of(path) if sha256 or sha256_prefix else ""
    if sha256 and actual != sha256.lower():
        raise ValueError(f"{path}: expected the sha256 {sha256}, received {actual}")
    if sha256_prefix and not actual.startswith(sha256_prefix.lower()):
        raise ValueError(
            f"{path}: expected a sha256 that begins {sha256_prefix}, received {actual}"
        )
    return path


def is_filename(x) -> bool:
    """Whether `x` is a plain file name, without a folder, that the cache can keep."""
    return (
        isinstance(x, str)
        and x not in ("", ".", "..")
        and x.isprintable()
        and not set(x) & set('/\\:*?"<>|')
        and not x.endswith(OWN_SUFFIXES)
    )


def check_filename(filename: str) -> None:
    """Raises a `ValueError` for what is no file name."""
    if not is_filename(filename):
        raise ValueError(
            "`filename` must be a plain file name, without a folder, and not end in any of "
            f"{OWN_SUFFIXES}. Received: `filename={filename!r}`"
        )


def is_hex(x, at_least: int) -> bool:
    """Whether `x` is `at_least` to 64 hex digits."""
    return isinstance(x, str) and re.fullmatch(f"[0-9a-fA-F]{{{at_least},64}}", x) is not None


@dataclasses.dataclass(frozen=True)
class Target:
    """The wanted file: its path and what is known about it."""

    path: Path
    sha256: str | None
    prefix: str
    max_bytes: int
    looks_right: Callable[[Path], object] | None

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)

    @property
    def part(self) -> Path:
        return self.beside(".part")

    @property
    def notes(self) -> Path:
        return self.beside(".part.json")

    def known_hash(self) -> str | None:
        """The published hash, else the remembered one."""
        return self.sha256 or self.remembered()

    def remembered(self) -> str | None:
        try:
            words = self.beside(".sha256").read_text("utf-8").split()
        except (OSError, UnicodeDecodeError):
            return None
        # Published digits outrank what was remembered of an earlier edition.
        if words and re.fullmatch("[0-9a-f]{64}", words[0]) and words[0].startswith(self.prefix):
            return words[0]
        return None

    def remember(self, sha256: str) -> None:
        if not self.sha256:
            _warn_of_shared_folder(self.path.parent)
        try:
            # The format of the sha256sum command, so that it can check the cache.
            replace_text(self.beside(".sha256"), f"{sha256}  {self.path.name}\n")
        except OSError as error:
            if error.errno not in _NO_RIGHT:
                raise
            logger.warning("The sha256 of %s is not remembered: no right to write", self.path)

    def discard_part(self) -> None:
        for leftover in (self.part, self.notes):
            leftover.unlink(missing_ok=True)

    def part_size(self) -> int:
        """Bytes of the part file; 0 for a link, which would lead the download elsewhere."""
        try:
            found = os.lstat(self.part)
        except FileNotFoundError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else 0

    def problem_of_cached(self) -> str | None:
        """Why the cached file cannot be used; `None` if it can."""
        if not self.path.is_file():
            return "it is missing"
        try:
            self.check(self.path, {})
        except ValueError as error:
            return str(error)
        return None

    def check(self, path: Path, digests: Digests) -> str:
        """The sha256 of `path`.

        Raises:
            ValueError: If the content differs from what was published or what the server declared.
        """
        # A match with the published hash is enough, whatever the server declares.
        if self.sha256:
            digests = {}
        actual = hashes_of(path, {"sha256", *(algorithm for algorithm, _ in digests.values())})
        sha256 = actual["sha256"]
        if self.sha256 and sha256 != self.sha256:
            raise ValueError(f"expected the sha256 {self.sha256}, received {sha256}")
        if not sha256.startswith(self.prefix):
            raise ValueError(f"expected a sha256 that begins {self.prefix}, received {sha256}")
        for header, (algorithm, digest) in digests.items():
            if actual[algorithm] != digest:
                raise ValueError(
                    f"the server's {header} promised the {algorithm} {digest}, "
                    f"received {actual[algorithm]}"
                )
        remembered = self.remembered()
        if not self.sha256 and remembered not in (None, sha256):
            raise ValueError(
                f"expected the sha256 {remembered}, as at the first download, received {sha256}; "
                f"if the change is known to be right, delete {self.beside('.sha256')}"
            )
        # A remembered file was looked at before it was remembered.
        if self.looks_right is not None and sha256 not in (remembered, self.sha256):
            self.looks_right(path)
        return sha256


def digest_of(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def hashes_of(path: Path, algorithms: set[str]) -> dict[str, str]:
    """The digests of a file by algorithm, in hexadecimal."""
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            for each in hashes.values():
                each.update(chunk)
    return {name: each.hexdigest() for name, each in hashes.items()}


def replace_text(path: Path, text: str) -> None:
    """Writes a whole file at once, through a new file of a name that nobody can foresee."""
    descriptor, fresh = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            to_disk(file)
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def to_disk(file: IO) -> None:
    """After a power cut a file name must not be there without its content."""
    file.flush()
    os.fsync(file.fileno())


@functools.cache
def _warn_of_shared_folder(folder):
    if os.name == "posix" and os.stat(folder).st_mode & 0o022:
        logger.warning(
            "%s can be written by other users, who can replace a file and its remembered hash",
            folder,
        )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps other processes out; the system releases the lock of a process that dies."""
    lock = filelock.FileLock(path)
    try:
        try:
            lock.acquire(timeout=WAIT)
        except filelock.Timeout:
            logger.warning("%s: waiting for another process that downloads this file", path)
            lock.acquire()
    except OSError as error:
        if error.errno not in _NO_RIGHT:
            raise
        # Nothing can be written in this folder, so there is nothing to protect.
        yield
        return
    try:
        yield
    finally:
        lock.release()
