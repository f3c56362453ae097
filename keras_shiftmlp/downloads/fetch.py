"""Downloads a published file over HTTP into the cache: verified, resumed, once for all processes.

A file gets its final name only after every check has passed. It is checked again at every use.
"""

import base64
import contextlib
import errno
import itertools
import logging
import os
import re
import ssl
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_shiftmlp.downloads import cache, google_drive

if TYPE_CHECKING:
    import requests

logger = logging.getLogger("keras_shiftmlp")

MAX_BYTES = 8 << 30  # the most that is written for a file of unknown size
TIMEOUT = 30.0  # seconds to connect, and between two pieces of an answer
SLOWEST = 1024  # bytes a second, on average over `TIMEOUT` seconds
TRIES = 3
BACKOFF = 1.0  # seconds before the second try, doubled from try to try
RETRY_AFTER_CAP = 60.0  # seconds; the longest wait that a server can ask for
MAX_REDIRECTS = 10

_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
# Not a lone `<`: a safetensors file may begin with it, as the low byte of its header's length.
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[A-Za-z!?][^\0]|\xff\xfe\s*<\0|\xfe\xff\0<")


class DownloadError(OSError):
    """The file could not be downloaded; names the reason, and where to put the file by hand."""


class NotFoundError(DownloadError, FileNotFoundError):
    """The server answers 404."""


class _TryAgain(Exception):
    """One try failed and the next may succeed, after `pause` seconds if the server says so."""

    def __init__(self, reason: str, pause: float | None = None):
        super().__init__(reason)
        self.pause = pause


def fetch(
    url: str,
    filename: str,
    *,
    sha256: str | None = None,
    max_bytes: int | None = None,
    looks_right: Callable[[Path], object] | None = None,
    folder: Path | None = None,
) -> Path:
    """The path of the file in the cache, downloaded if it is missing or damaged.

    A file with no published hash is trusted once, after all other checks, and its hash is
    remembered beside it in `<filename>.sha256`. From then on no other content is accepted.

    Args:
        url: The file's `http(s)://` URL, which may be its page on Google Drive.
        filename: The plain name of the file in the cache.
        sha256: The published hash, 64 hex digits. If only its first digits are published, 8 or
            more of them detect damage, but not forgery.
        max_bytes: A longer file is refused. `None` means 8 GiB.
        looks_right: Raises a `ValueError` for a file of another kind. A file without a known hash
            is passed to it once.
        folder: Folder of the file; `cache_folder()` by default.

    Raises:
        ValueError: If an argument is invalid, before any request; or if the content is not the
            expected one. No part of such a file is kept.
        DownloadError: If the server does not give the file; `NotFoundError` if it answers 404.
        OSError: If the file cannot be written, for lack of space for example.
    """
    if not is_url(url):
        shown = redacted(url) if isinstance(url, str) else url
        raise ValueError(
            f"`url` must be an http:// or https:// URL in ASCII. Received: `url={shown!r}`"
        )
    if not cache.is_filename(filename):
        raise ValueError(
            "`filename` must be a plain file name, without a folder, and not end in any of "
            f"{cache.OWN_SUFFIXES}. Received: `filename={filename!r}`"
        )
    if sha256 is not None and not cache.is_hex(sha256, at_least=8):
        raise ValueError(f"`sha256` must be 8 to 64 hex digits or None. Received: `{sha256=}`")
    folder = cache.cache_folder() if folder is None else Path(folder)
    # With no right for the group, whatever the umask: the folder holds what is trusted.
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    file = cache.CachedFile(folder / filename, sha256, looks_right)
    # The common case takes no lock, so that it works in a read-only folder.
    if file.known_hash() and file.is_right():
        return file.path
    with cache.locked(file.beside(".lock")):
        # Another process may have finished in the meantime, or the user has put the file there.
        if file.is_right():
            if not file.known_hash():
                file.remember(cache.sha256_of(file.path))
            return file.path
        file.path.unlink(missing_ok=True)
        most = MAX_BYTES if max_bytes is None else max_bytes
        try:
            file.accept_part(_download(url, file, most))
        except (DownloadError, ValueError) as error:
            raise (type(error) if isinstance(error, DownloadError) else ValueError)(
                f"`{filename}` could not be downloaded from {redacted(url)}: {error}"
            ) from error
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            file.discard_part()
            reason = f"There is no room for `{filename}`. Free some, or set KERAS_HOME"
            raise OSError(error.errno, reason, str(file.path)) from error
    logger.info("%s: from %s, sha256 %s", file.path, redacted(url), file.known_hash())
    return file.path


def redacted(url: str) -> str:
    """A URL for logs and errors, without password and query, which may hold a token."""
    address, query, _ = url.partition("?")
    address = re.sub(r"(?<=://)[^/]*@", "", address) if address.startswith("http") else address
    return f"{address}?..." if query else address


def filename_of(url: str) -> str:
    """A name for the file of a URL: the end of its path, or the id of a file on Google Drive."""
    end = url.partition("?")[0].rstrip("/").split("/")[-1]
    return google_drive.file_id(url) or re.sub(r"[^\w.-]", "_", end)


def is_url(url: Any) -> bool:
    """Whether `url` is an `http(s)://` URL in ASCII."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        return bool(good) and url.isascii() and url.isprintable() and " " not in url
    except (ValueError, AttributeError, TypeError):
        return False


def _download(url: str, file: cache.CachedFile, max_bytes: int) -> str:
    """The sha256 of the part file, complete and checked."""
    reasons = []
    for attempt in range(TRIES):
        resumed = False
        try:
            md5, resumed = _transfer(url, file, max_bytes)
            return file.check(file.part, md5)
        except ValueError as error:
            file.discard_part()
            # The part of an earlier try may be damaged.
            if not resumed or attempt == TRIES - 1:
                raise
            reasons.append(str(error))
        except _TryAgain as error:
            reasons.append(str(error))
            if attempt < TRIES - 1:
                time.sleep(BACKOFF * 2**attempt if error.pause is None else error.pause)
    raise DownloadError("; then ".join(dict.fromkeys(reasons)))


def _transfer(url: str, file: cache.CachedFile, max_bytes: int) -> tuple[str | None, bool]:
    """Completes the part file: the md5 that the server declared, and whether it was resumed."""
    if google_drive.file_id(url):
        google_drive.download(url, file.part)
        return None, False
    notes, offset, headers = file.notes(), 0, {}
    # Resume only if a validator shows that both pieces belong to one file, or a hash will show it.
    if notes.get("url") == cache.digest_of(url) and (notes["validator"] or file.known_hash()):
        offset = file.part_size()
    if offset and offset == notes["total"]:
        return notes["md5"], True
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if notes["validator"]:
            headers["If-Range"] = notes["validator"]
    with _ask(url, headers) as response:
        continues = response.status_code == 206 and offset and _continues(response, offset, notes)
        if response.status_code != 200 and not continues:
            file.discard_part()
            raise _TryAgain("the server sent another part than was asked for", pause=0)
        length = response.raw.length_remaining
        chunks = _without_pages(response, max_bytes - offset)
        if response.status_code == 200:
            offset = 0
            notes = {
                "url": cache.digest_of(url),
                "validator": _validator(response),
                "total": length,
                "md5": _declared_md5(response),
            }
            file.start_part(notes)
        got = _append(chunks, file, offset, notes["total"])
    if notes["total"] not in (None, got):
        raise _TryAgain(f"{got} of {notes['total']} bytes came")
    return notes["md5"], offset > 0


def _append(chunks, file, got, total):
    """Appends the body to the part file of `got` bytes; the bytes that it has then."""
    from rich import console, progress

    with (
        open(file.part, "ab", opener=_open_no_link) as part,
        progress.Progress(
            *progress.Progress.get_default_columns(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            console=console.Console(stderr=True),
            disable=sys.stderr is None
            or not sys.stderr.isatty()
            or not logger.isEnabledFor(logging.WARNING),
        ) as bar,
    ):
        task = bar.add_task(file.path.name, total=total, completed=got)
        for chunk in chunks:
            got += len(chunk)
            part.write(chunk)
            part.flush()  # a later run resumes behind what is on disk
            bar.advance(task, len(chunk))
        os.fsync(part.fileno())
    return got


def _open_no_link(path, flags):
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)


def _validator(response):
    """What distinguishes one edition of a file from the next; a weak ETag does not.

    The date counts only without an ETag, since the machines of one CDN may disagree about it.
    """
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _continues(response, offset, notes):
    """Whether a 206 begins where the part file ends, in the same edition of the file."""
    total = r"\d+" if notes["total"] is None else notes["total"]
    given = response.headers.get("Content-Range", "")
    if not re.fullmatch(rf"bytes\s+{offset}-\d+/({total}|\*)", given.strip()):
        return False
    # Some servers ignore If-Range.
    return _validator(response) in (None, notes["validator"])


def _declared_md5(response):
    """The md5 of the whole file, as the storage of Google and Azure declares it, or `None`."""
    headers = response.headers
    declared = f"{headers.get('x-goog-hash', '')},md5={headers.get('Content-MD5', '')}"
    match = re.search(r"\bmd5=([A-Za-z0-9+/]{22}==)(?:,|$)", declared.replace(" ", ""))
    return base64.b64decode(match[1]).hex() if match else None


@contextlib.contextmanager
def _ask(url: str, headers: Mapping[str, str]) -> Iterator["requests.Response"]:
    """Requests a URL, redirected or not; the body is not read yet.

    Inside the block, network errors become `_TryAgain`, or `DownloadError` if they would recur.
    """
    # Imported on first use: they are slow to import, and `list_weights` needs neither.
    import requests
    import urllib3

    headers = {"User-Agent": "keras_shiftmlp", "Accept-Encoding": "identity", **headers}
    with requests.Session() as session:
        session.max_redirects = MAX_REDIRECTS
        session.hooks["response"].append(_vet_address)
        try:
            with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
                code = response.status_code
                reason = f"HTTP {code} {response.reason}"
                if code in (408, 425, 429) or code >= 500:
                    raise _TryAgain(reason, _retry_after(response))
                if code not in (200, 206, 416):
                    raise (NotFoundError if code == 404 else DownloadError)(reason)
                yield response
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            cause = _root(error)
            # A ValueError is an invalid address.
            lasting = isinstance(error, (ValueError, requests.TooManyRedirects)) or isinstance(
                cause, ssl.SSLCertVerificationError
            )
            reason = f"{type(cause).__name__}: {cause}"
            raise (DownloadError if lasting else _TryAgain)(reason) from error


def _vet_address(response, **_):
    """Warns of plain http, and refuses a redirect that is not safe to follow."""
    parts = urllib.parse.urlsplit(response.url)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        cache.warn_once(
            f"{parts.hostname} is asked over http: anybody on the way can swap its files. Prefer "
            "https."
        )
    if not response.is_redirect:
        return
    # `requests` would read the whole body of a redirect, whatever its size.
    response.close()
    url = response.headers["Location"]
    with contextlib.suppress(ValueError):
        url = urllib.parse.urljoin(response.url, url)
    # On plain http, anyone between server and client could replace the file.
    if not is_url(url) or (parts.scheme == "https" and not url.startswith("https:")):
        raise DownloadError(f"a redirect to {redacted(url)!r} came, which is not followed")


def _root(error):
    """The first of the nested exceptions; the texts of the outer ones repeat the whole URL."""
    nested = [*error.args, getattr(error, "reason", None), error.__cause__]
    inner = next((x for x in nested if isinstance(x, Exception)), None)
    return error if inner is None else _root(inner)


def _retry_after(response):
    """The seconds that a server asks for, up to the cap; `None` if it asks for none."""
    import urllib3

    with contextlib.suppress(urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        seconds = urllib3.Retry().get_retry_after(response.raw)
        return None if seconds is None else min(seconds, RETRY_AFTER_CAP)
    return None


def _chunks(response: "requests.Response", max_bytes: int) -> Iterator[bytes]:
    """The body, piece by piece as it comes, from a server that is fast enough."""
    begin, recent, left = time.monotonic(), 0, max_bytes
    while chunk := response.raw.read1(1 << 18, decode_content=False):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"expected at most {max_bytes} bytes, more came")
        yield chunk
        recent += len(chunk)
        seconds = time.monotonic() - begin
        if seconds >= TIMEOUT:
            if recent < SLOWEST * seconds:
                raise _TryAgain(f"time-out: fewer than {SLOWEST} bytes a second came")
            begin, recent = time.monotonic(), 0


def _without_pages(response: "requests.Response", max_bytes: int) -> Iterator[bytes]:
    """The body of a response, unless it is a web page by its type or its beginning."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    chunks = _chunks(response, max_bytes)
    head = next(chunks, b"")
    # The middle of a file may look like anything.
    if (response.status_code == 200 and _MARKUP.match(head)) or kind in (
        "text/html",
        "application/xhtml+xml",
    ):
        raise DownloadError("a web page came instead of the file")
    return itertools.chain([head], chunks)
