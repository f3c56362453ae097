"""Downloads a published file over HTTP into a cache: verified, resumed, once for all processes.

A file gets its final name only after every check has passed. It is checked again at every use.
"""

import base64
import binascii
import contextlib
import errno
import functools
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from keras_shiftmlp.checkpoints.cache import (
    Digests,
    Target,
    cache_folder,
    check_filename,
    digest_of,
    is_hex,
    locked,
    replace_text,
    sha256_of,
    to_disk,
)
from keras_shiftmlp.checkpoints.web import (
    DownloadError,
    Failure,
    NotFoundError,
    ask,
    in_words,
    is_url,
    progress_bar,
    redacted,
    retried,
    without_pages,
)

logger = logging.getLogger("keras_shiftmlp")

MAX_BYTES = 8 << 30  # the most that is written for a file of unknown size

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


def fetch(
    urls: Sequence[str],
    filename: str,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    max_bytes: int | None = None,
    looks_right: Callable[[Path], object] | None = None,
    folder: Path | None = None,
) -> Path:
    """The path of the file in the cache, downloaded if it is missing or damaged.

    A file with no published hash is trusted once, after all other checks, and its hash is
    remembered beside it in `<filename>.sha256`. From then on no other content is accepted.

    Args:
        urls: The file's URL and then its mirrors, tried in this order.
        filename: The plain name of the file in the cache.
        sha256: The published hash, 64 hex digits.
        sha256_prefix: Its first digits, 8 at least, where only they are published. Eight digits
            are a checksum against damage, not a hash against forgery.
        max_bytes: A longer file is refused. `None` means 8 GiB.
        looks_right: Raises a `ValueError` for a file of another kind. It is called once for a
            file without a known hash, with its path.
        folder: Folder of the file; `cache_folder()` by default.

    Raises:
        ValueError: If an argument is invalid, before any request; or if the content is not the
            expected one. No part of such a file is kept.
        DownloadError: If no URL gives the file; `NotFoundError` if all answer 404.
        OSError: If the file cannot be written, for lack of space for example.
    """
    urls = _check_urls(urls)
    check_filename(filename)
    for name, value, digits in (("sha256", sha256, 64), ("sha256_prefix", sha256_prefix, 8)):
        if value is not None and not is_hex(value, digits):
            raise ValueError(
                f"`{name}` must be {digits} to 64 hex digits or None. Received: `{name}={value!r}`"
            )
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 0):
        raise ValueError(
            f"`max_bytes` must be a number of bytes or None. Received: `max_bytes={max_bytes!r}`"
        )
    folder = cache_folder() if folder is None else Path(folder)
    # With no right for the group, whatever the umask: the folder holds what is trusted.
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    target = Target(
        folder / filename,
        sha256 and sha256.lower(),
        (sha256_prefix or "").lower(),
        MAX_BYTES if max_bytes is None else max_bytes,
        looks_right,
    )
    # The common case takes no lock, so that it works in a read-only folder.
    if target.known_hash() and target.problem_of_cached() is None:
        return target.path
    with locked(target.beside(".lock")):
        # Another process may have finished in the meantime.
        problem = target.problem_of_cached()
        if problem is None:
            if not target.known_hash():
                target.remember(sha256_of(target.path))
            return target.path
        if target.path.is_file():
            logger.warning("%s is removed and downloaded again: %s", target.path, problem)
            target.path.unlink()
        try:
            return _download(urls, target, problem)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            target.discard_part()
            raise OSError(
                error.errno,
                f"There is no room for the download of `{filename}`. Free some, or set KERAS_HOME "
                f"to a folder with more ({os.strerror(error.errno)})",
                str(target.path),
            ) from error


def _check_urls(urls):
    if isinstance(urls, str) or not isinstance(urls, Sequence) or not urls:
        raise ValueError(f"`urls` must be a sequence of one URL or more. Received: `urls={urls!r}`")
    for url in urls:
        if not is_url(url):
            shown = redacted(url) if isinstance(url, str) else url
            raise ValueError(
                f"`urls` must be http:// or https:// URLs in ASCII. Received: `urls=[{shown!r}]`"
            )
    return list(urls)


def _download(urls: Sequence[str], target: Target, note: str) -> Path:
    """Tries the URLs in turn until one gives a file that passes the checks.

    `note` says what was wrong with the cached file, for the error if none does.
    """
    reasons, all_failures = [f"{target.path}: {note}"], []
    for url in urls:
        sha256, failures = retried(functools.partial(_attempt, url, target))
        if sha256 is not None:
            size = target.part.stat().st_size
            # First the hash: a file in the cache always has one.
            target.remember(sha256)
            os.replace(target.part, target.path)
            target.notes.unlink(missing_ok=True)
            shown = redacted(url)
            logger.info("%s: %d bytes from %s, sha256 %s", target.path, size, shown, sha256)
            return target.path
        reasons.append(f"{redacted(url)}: {in_words(failures)}")
        all_failures += failures
    wrong = any(failure.wrong for failure in all_failures)
    missing = all(failure.code == 404 for failure in all_failures)
    known = target.known_hash()
    raise (ValueError if wrong else NotFoundError if missing else DownloadError)(
        f"`{target.path.name}` could not be downloaded"
        f"{', what came was not the expected file' if wrong else ''}.\n  "
        + "\n  ".join(reasons)
        + f"\nYou can put the file {target.path.name!r}"
        f"{f' (sha256 {known})' if known else ''} at {str(target.path)!r} yourself, or set "
        "KERAS_SHIFTMLP_WEIGHTS to a folder that holds it."
    )


def _attempt(url, target):
    """The sha256 of the part file, complete and checked."""
    resumed = False
    try:
        digests, resumed = _transfer(url, target)
        return target.check(target.part, digests)
    except ValueError as error:
        target.discard_part()
        # The piece of an earlier try may be at fault, so the whole file gets a chance.
        raise Failure(str(error), again=resumed, wrong=True) from error


def _transfer(url: str, target: Target) -> tuple[Digests, bool]:
    """Completes the part file from `url`: the server's digests, and whether it was resumed."""
    notes = _read_notes(target.notes)
    validators = {key: notes.get(key) for key in ("etag", "modified")}
    offset = 0
    # Two pieces are joined only if they are of one file for certain, or a check will tell.
    if notes.get("url") == digest_of(url) and (any(validators.values()) or target.known_hash()):
        offset = target.part_size()
        if offset and offset == notes.get("total"):
            return notes["digests"], True
    headers = {}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if any(validators.values()):
            headers["If-Range"] = validators["etag"] or validators["modified"]
    try:
        with ask(url, headers) as response:
            digests = _server_digests(response)
            if response.status_code == 206:
                if not offset or not _continues(response, offset, notes):
                    target.discard_part()
                    raise Failure("the server sent another part than was asked for", True, wait=0)
                digests = {**notes["digests"], **digests}
            elif response.status_code == 200:
                offset = 0
            else:
                raise Failure(f"HTTP {response.status_code} {response.reason}")
            length = response.raw.length_remaining
            end = None if length is None else offset + length
            if end is not None and end > target.max_bytes:
                raise ValueError(f"expected at most {target.max_bytes} bytes, the server has {end}")
            chunks = without_pages(response)
            if not offset:
                target.discard_part()
                notes = {"url": digest_of(url), "total": end, "digests": digests}
                replace_text(target.notes, json.dumps({**notes, **_validators(response)}))
            _write(chunks, target, offset, end)
    except Failure as error:
        if error.code == 416:  # the file is shorter by now than the part of it
            target.discard_part()
        raise
    return digests, bool(offset)


def _write(chunks, target, got, end):
    """Appends the body to the part file, which holds `got` bytes."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    flags |= getattr(os, "O_BINARY", 0)
    file = open(os.open(target.part, flags, 0o644), "ab")  # noqa: SIM115
    with file, progress_bar(target.path.name, end, got) as advance:
        for chunk in chunks:
            got += len(chunk)
            if got > target.max_bytes:
                raise ValueError(f"expected at most {target.max_bytes} bytes, more came")
            file.write(chunk)
            file.flush()
            advance(len(chunk))
        to_disk(file)
    if end is not None and got < end:
        raise Failure(f"the connection ended after {got} of {end} bytes", again=True)


def _read_notes(path):
    """What was noted about the part file; empty if the notes cannot be read."""
    try:
        notes = json.loads(path.read_text("utf-8"))
        notes["digests"] = {key: (name, digest) for key, (name, digest) in notes["digests"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return notes


def _validators(response):
    """What distinguishes one edition of a file from the next; a weak ETag does not."""
    etag = response.headers.get("ETag")
    return {
        "etag": etag if etag and etag.startswith('"') else None,
        "modified": response.headers.get("Last-Modified"),
    }


def _continues(response, offset, notes):
    """Whether a 206 begins where the part file ends, in the same edition of the file."""
    given = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes\s+(\d+)-\d+/(\d+|\*)", given.strip())
    if not match or int(match[1]) != offset:
        return False
    if match[2] != "*" and notes.get("total") not in (None, int(match[2])):
        return False
    # Some servers ignore If-Range. The date counts only without an ETag, since the machines of
    # one CDN may disagree about it.
    for key, value in _validators(response).items():
        if value is not None and notes.get(key) is not None:
            return value == notes[key]
    return True


def _server_digests(response):
    """The md5 of the whole file, as Google's storage and Azure's declare it."""
    found = {}
    for item in response.headers.get("x-goog-hash", "").split(","):
        key, _, value = item.strip().partition("=")
        if key == "md5":
            found["x-goog-hash"] = value
    # Of a part it is the part's.
    if response.status_code == 200:
        found["Content-MD5"] = response.headers.get("Content-MD5", "").strip()
    digests = {}
    for header, value in found.items():
        with contextlib.suppress(binascii.Error, ValueError):
            digest = base64.b64decode(value, validate=True)
            if len(digest) == 16:
                digests[header] = ("md5", digest.hex())
    return digests
