"""Fetches a published file over HTTP into a cache: verified, resumed, and once for all processes.

A file gets its final name only after everything known about it was checked, so whatever lies in
the cache under that name was right when it came, and it is checked again at every use.
"""

import base64
import binascii
import contextlib
import dataclasses
import email.utils
import errno
import hashlib
import html.parser
import http.client
import http.cookiejar
import json
import logging
import os
import re
import selectors
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

logger = logging.getLogger("keras_shiftmlp")

TIMEOUT = 30.0  # seconds to connect, and between two pieces of an answer
TRIES = 3  # per URL
BACKOFF = 1.0  # seconds before the second try, doubled from try to try
RETRY_AFTER_CAP = 60.0  # seconds; no server may make us wait longer

_CHUNK = 1 << 18
_PAGE = 1 << 20  # as much of a web page as is read for its form
_SURPLUS_WAIT = 1.0  # seconds for a server to end a connection whose every byte has come
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
_OWN_SUFFIXES = (".part", ".part.json", ".sha256", ".lock", ".tmp")
_ALGORITHMS = {"md5": "md5", "sha-256": "sha256", "sha-512": "sha512"}
# Not a lone `<`: a safetensors file may begin with it, as the low byte of its header's length.
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[A-Za-z!?]|\xff\xfe\s*<\x00|\xfe\xff\x00<")
_DRIVE_PATH = re.compile(r"/file/d/([\w-]+)(/(view|edit|preview)?)?")

# Header of an answer -> (algorithm, hex digest of the whole file).
Digests = Mapping[str, tuple[str, str]]


class DownloadError(OSError):
    """No URL gave the file; says why for each, and where to put it by hand."""


class _GiveUpError(Exception):
    """This URL will not give the file, however often it is asked."""


class _TryAgainError(Exception):
    """This time it failed; `wait` says for how many seconds, where the reason knows it."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def cache_folder() -> Path:
    """The folder of downloaded checkpoints, under `KERAS_HOME` or `~/.keras`; made if need be."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    folder = Path(home).expanduser() / "models" / "keras_shiftmlp"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetch(
    urls: Sequence[str],
    filename: str,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    size: int | None = None,
    looks_right: Callable[[Path], object] | None = None,
    folder: Path | None = None,
) -> Path:
    """The path of the file in the cache, downloaded if it isn't there or isn't right any more.

    A file with no published hash is trusted once, after all other checks, and its hash is
    remembered beside it in `<filename>.sha256`; from then on nothing else is accepted.

    Args:
        urls: The file's URL and then its mirrors, tried in this order. A Google Drive link
            (`.../file/d/<id>/view`) will do.
        filename: The plain name of the file in the cache.
        sha256: The published hash, 64 hex digits.
        sha256_prefix: Its first digits, 8 at least, where only they are known.
        size: The published number of bytes.
        looks_right: Raises a `ValueError` for a file that is no good. It's called for a file of
            which no hash is known, once, with its path, which then ends in `.part`.
        folder: Where to keep the file; `cache_folder()` by default.

    Raises:
        ValueError: For arguments that make no sense, before any request; and where a file came
            that isn't the one expected. Nothing of it is kept.
        DownloadError: Where no URL gave the file.
        OSError: Where it can't be written, for want of room for example.
    """
    urls = _check_urls(urls)
    _check_filename(filename)
    _check_hex("sha256", sha256, at_least=64)
    _check_hex("sha256_prefix", sha256_prefix, at_least=8)
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
        raise ValueError(f"`size` must be a number of bytes or None. Received: `size={size!r}`")
    folder = cache_folder() if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = _Target(
        folder / filename,
        sha256 and sha256.lower(),
        (sha256_prefix or "").lower(),
        size,
        looks_right,
    )
    # The common case takes no lock, so that it works in a folder that can only be read.
    if target.known_hash() and target.problem_of_cached() is None:
        return target.path
    with _lock(target.beside(".lock")):
        # Another process may have come first.
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
                f"There is no room for the download of `{filename}` "
                f"({'size unknown' if size is None else f'{size:,} bytes'}); free some, or set "
                f"KERAS_HOME to a folder with more ({os.strerror(error.errno)})",
                str(target.path),
            ) from error


def discard(path: Path) -> None:
    """Removes a file of the cache, and its hash with it; a file elsewhere stays."""
    if path.parent == cache_folder():
        path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return _hashes(path, {"sha256"})["sha256"]


def verified(path: Path, sha256: str | None = None, sha256_prefix: str | None = None) -> Path:
    """`path` itself, if its SHA-256 is the published one or begins with the published prefix.

    Raises:
        ValueError: Where it is not.
    """
    if sha256 or sha256_prefix:
        try:
            _Target(path, sha256, sha256_prefix or "", None, None).check(path, {})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return path


def _check_urls(urls):
    if isinstance(urls, str) or not isinstance(urls, Sequence) or not urls:
        raise ValueError(f"`urls` must be a sequence of one URL or more. Received: `urls={urls!r}`")
    for url in urls:
        try:
            parts = urllib.parse.urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            good = good and url.isascii() and url.isprintable() and " " not in url
        except (ValueError, AttributeError, TypeError):
            good = False
        if not good:
            raise ValueError(
                f"`urls` must be http:// or https:// URLs in ASCII. Received: `urls={urls!r}`"
            )
    return list(urls)


def _check_filename(filename):
    good = (
        isinstance(filename, str)
        and filename not in ("", ".", "..")
        and filename.isprintable()
        and not set(filename) & set('/\\:*?"<>|')
        and not filename.endswith(_OWN_SUFFIXES)
    )
    if not good:
        raise ValueError(
            "`filename` must be a plain file name, without a folder, and not end in any of "
            f"{_OWN_SUFFIXES}. Received: `filename={filename!r}`"
        )


def _check_hex(name, value, at_least):
    if value is None:
        return
    if not isinstance(value, str) or not re.fullmatch(f"[0-9a-fA-F]{{{at_least},64}}", value):
        digits = "64" if at_least == 64 else f"{at_least} to 64"
        raise ValueError(
            f"`{name}` must be {digits} hex digits or None. Received: `{name}={value!r}`"
        )


@dataclasses.dataclass(frozen=True)
class _Target:
    """The file that is wanted: where it goes and what is known about it."""

    path: Path
    sha256: str | None
    prefix: str
    size: int | None
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
        # A published prefix outranks what was remembered of an earlier edition.
        if words and re.fullmatch("[0-9a-f]{64}", words[0]) and words[0].startswith(self.prefix):
            return words[0]
        return None

    def remember(self, sha256: str) -> None:
        memory, fresh = self.beside(".sha256"), self.beside(".sha256.tmp")
        try:
            # The format of the sha256sum command, so that anybody can check the cache with it.
            with open(fresh, "w", encoding="utf-8") as file:
                file.write(f"{sha256}  {self.path.name}\n")
                _to_disk(file)
            os.replace(fresh, memory)
        except PermissionError:
            logger.warning("The sha256 of %s can't be remembered: no right to write", self.path)
        except OSError as error:
            if error.errno != errno.EROFS:
                fresh.unlink(missing_ok=True)
                raise

    def discard_part(self) -> None:
        for leftover in (self.part, self.notes):
            leftover.unlink(missing_ok=True)

    def problem_of_cached(self) -> str | None:
        """What keeps the cached file from being used; `None` where it is right."""
        if not self.path.is_file():
            return "it isn't there"
        try:
            self.check(self.path, {})
        except ValueError as error:
            return str(error)
        return None

    def check(self, path: Path, digests: Digests) -> str:
        """The sha256 of `path`.

        Raises:
            ValueError: Where the content isn't what was published, or what the server says it is.
        """
        size = path.stat().st_size
        if self.size not in (None, size):
            raise ValueError(f"expected {self.size} bytes, received {size}")
        # Who matches the published hash is right, whatever a server says.
        if self.sha256:
            digests = {}
        actual = _hashes(path, {"sha256", *(algorithm for algorithm, _ in digests.values())})
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
        # What is remembered was looked at when it came.
        if self.looks_right is not None and sha256 not in (remembered, self.sha256):
            self.looks_right(path)
        return sha256


def _to_disk(file):
    """Without this, a name could outlive a power cut that its content doesn't."""
    file.flush()
    os.fsync(file.fileno())


def _hashes(path, algorithms):
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms}
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            for each in hashes.values():
                each.update(chunk)
    return {name: each.hexdigest() for name, each in hashes.items()}


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Holds the lock file; the system lets go of it for a process that dies."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            # Where nothing can be written there is nothing to keep apart.
            yield
            return
        try:
            _wait_for(descriptor, path)
            # The one who held it before removes the file; a lock on a removed file is no lock.
            if _is_same_file(descriptor, path):
                try:
                    yield
                finally:
                    # Windows doesn't remove an open file; there it stays, empty.
                    with contextlib.suppress(OSError):
                        path.unlink()
                return
        finally:
            os.close(descriptor)


def _wait_for(descriptor, path):
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logger.warning("%s: the file system has no locks; download in one process", path)
        return
    while True:
        try:
            # Gives up by itself after ten seconds.
            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
            return
        except OSError as error:
            if error.errno not in (errno.EDEADLK, errno.EACCES):
                raise


def _is_same_file(descriptor, path):
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _download(urls: Sequence[str], target: _Target, note: str) -> Path:
    """Tries the URLs in turn until one gives a file that passes the checks.

    `note` says what was wrong with the cached file, for the error if none does.
    """
    reasons, came_wrong = [f"{target.path}: {note}"], False
    for url in urls:
        pause, failures = 0.0, []
        for attempt in range(TRIES):
            if attempt:
                time.sleep(pause)
            pause = BACKOFF * 2**attempt
            resumed = False
            try:
                digests, resumed = _transfer(url, target)
                sha256 = target.check(target.part, digests)
            except _GiveUpError as error:
                failures.append(str(error))
                break
            except _TryAgainError as error:
                failures.append(str(error))
                pause = pause if error.wait is None else error.wait
            except ValueError as error:
                failures.append(str(error))
                came_wrong = True
                target.discard_part()
                # The piece from the last time may be at fault, so the whole file gets a chance.
                if not resumed:
                    break
            else:
                size = target.part.stat().st_size
                # First the hash: there is never a file in the cache without one.
                target.remember(sha256)
                os.replace(target.part, target.path)
                target.notes.unlink(missing_ok=True)
                logger.info("%s: %d bytes from %s, sha256 %s", target.path, size, url, sha256)
                return target.path
        reasons.append(f"{url}: {'; then '.join(dict.fromkeys(failures))}")
    known = target.known_hash()
    raise (ValueError if came_wrong else DownloadError)(
        f"`{target.path.name}` could not be downloaded"
        f"{', what came was not the expected file' if came_wrong else ''}.\n  "
        + "\n  ".join(reasons)
        + f"\nYou can put the file {target.path.name!r}"
        f"{f' (sha256 {known})' if known else ''} at {str(target.path)!r} yourself, or set "
        "KERAS_SHIFTMLP_WEIGHTS to a folder that holds it."
    )


def _transfer(url: str, target: _Target) -> tuple[Digests, bool]:
    """Completes the part file from `url`: the server's digests, and whether it was resumed."""
    notes = _read_notes(target.notes)
    validators = {key: notes.get(key) for key in ("etag", "modified")}
    offset = 0
    # Pieces are only put together where it is certain, or comes out, that they're of one file.
    if notes.get("url") == url and (any(validators.values()) or target.known_hash()):
        offset = target.part.stat().st_size if target.part.is_file() else 0
        if offset and offset == notes.get("total"):
            return notes["digests"], True
    headers = {"User-Agent": "keras_shiftmlp"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if any(validators.values()):
            headers["If-Range"] = validators["etag"] or validators["modified"]
    try:
        answer = _ask(url, headers)
    except _TryAgainError as error:
        # Not satisfiable: the file is shorter by now than the part of it.
        if getattr(error.__cause__, "code", None) == 416:
            target.discard_part()
        raise
    with answer.response as response:
        digests = _server_digests(response, answer.linked_etag)
        if response.status == 206:
            if not offset or not _continues(response, offset, notes):
                target.discard_part()
                raise _TryAgainError("the server sent another part than was asked for", wait=0)
            digests = {**notes["digests"], **digests}
        elif response.status == 200:
            offset = 0
        else:
            raise _GiveUpError(f"HTTP {response.status} {response.reason}")
        end = None if answer.length is None else offset + answer.length
        if target.size is not None and end not in (None, target.size):
            raise ValueError(f"expected {target.size} bytes, the server has {end}")
        if not offset:
            target.discard_part()
            notes = {"url": url, "total": end, "digests": digests, **_validators(response)}
            target.notes.write_text(json.dumps(notes), "utf-8")
        _write(answer, target, offset, end)
    return digests, bool(offset)


def _write(answer, target, got, end):
    """Appends the body to the part file, of which `got` bytes are there."""
    progress = _progress(end or target.size)
    with open(target.part, "ab") as file:
        chunk = answer.head
        while chunk:
            got += len(chunk)
            if end is not None and got > end:
                break
            file.write(chunk)
            progress(got)
            # Without a declared length, the size is what keeps the disk from being filled.
            if got == end or (target.size is not None and got > target.size):
                break
            chunk = _read(answer.response)
        _to_disk(file)
    if end is not None and (got > end or (got == end and _has_surplus(answer.response))):
        target.discard_part()
        raise _TryAgainError(f"the server declared {end} bytes and sent more")
    expected = target.size if end is None else end
    if expected is not None and got < expected:
        raise _TryAgainError(f"the connection ended after {got} of {expected} bytes")


def _read_notes(path):
    """What was noted about the part file; nothing where that can't be made out."""
    try:
        notes = json.loads(path.read_text("utf-8"))
        notes["digests"] = {key: (name, digest) for key, (name, digest) in notes["digests"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return notes


def _validators(response):
    """What tells one edition of a file from the next; a weak ETag doesn't."""
    etag = response.headers.get("ETag")
    return {
        "etag": etag if etag and etag.startswith('"') else None,
        "modified": response.headers.get("Last-Modified"),
    }


def _continues(response, offset, notes):
    """Whether a 206 goes on where the part file ends, in the same edition of the file."""
    given = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes\s+(\d+)-\d+/(\d+|\*)", given.strip())
    if not match or int(match[1]) != offset:
        return False
    if match[2] != "*" and notes.get("total") not in (None, int(match[2])):
        return False
    # Some servers take no notice of If-Range. The date only counts where there is no ETag, since
    # the machines of one CDN may not agree about it.
    for key, value in _validators(response).items():
        if value is not None and notes.get(key) is not None:
            return value == notes[key]
    return True


def _server_digests(response, linked_etag):
    """The digests of the whole file that an answer declares."""
    headers, found = response.headers, {}
    for name in ("x-goog-hash", "Digest", "Repr-Digest"):
        for item in ",".join(headers.get_all(name, [])).split(","):
            key, _, value = item.strip().partition("=")
            algorithm = _ALGORITHMS.get(key.lower())
            digest = algorithm and _from_base64(value.strip(": "), algorithm)
            if digest:
                found[f"{name} ({key.lower()})"] = (algorithm, digest)
    # Of a part it's the part's.
    if response.status == 200 and "Content-MD5" in headers:
        digest = _from_base64(headers["Content-MD5"].strip(), "md5")
        if digest:
            found["Content-MD5"] = ("md5", digest)
    # Hugging Face names the file's sha256 where it redirects; the ETag that follows is the CDN's.
    for name, etag in (("X-Linked-Etag", linked_etag), ("ETag", headers.get("ETag"))):
        match = re.fullmatch('"([0-9a-fA-F]{64})"', (etag or "").strip())
        if match:
            found[name] = ("sha256", match[1].lower())
            break
    return found


def _from_base64(text, algorithm):
    """As hex; `None` for what is no digest."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    right = len(digest) == hashlib.new(algorithm, usedforsecurity=False).digest_size
    return digest.hex() if right else None


@dataclasses.dataclass
class _Answer:
    """An open response that isn't a web page, with the beginning of its body."""

    response: http.client.HTTPResponse
    head: bytes
    length: int | None  # as declared for this response
    linked_etag: str | None


def _ask(url: str, headers: Mapping[str, str]) -> _Answer:
    """Requests a URL, through the page that Google Drive puts before large files.

    Raises:
        _GiveUpError: Where this URL won't give the file.
        _TryAgainError: Where it may another time.
    """
    url, is_drive = _direct(url)
    redirects = _Redirects()
    opener = urllib.request.build_opener(
        redirects, urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    )
    for confirmed in (False, True):
        if is_drive or confirmed:
            redirects.host = urllib.parse.urlsplit(url).hostname
        with _network_errors():
            response = opener.open(
                urllib.request.Request(url, headers=dict(headers)), timeout=TIMEOUT
            )
        with contextlib.ExitStack() as stack:
            stack.callback(response.close)
            length = response.length
            # Counted here instead: http.client hides bytes beyond the declared length.
            response.length = None
            head = _read_up_to(1024, response, length, b"")
            if not _is_page(response, head):
                stack.pop_all()
                return _Answer(response, head, length, redirects.linked_etag)
            page = _Page(_read_up_to(_PAGE, response, length, head), response.url)
            if confirmed or page.onwards is None:
                raise _GiveUpError(page.complaint())
            if not _is_near(page.onwards, urllib.parse.urlsplit(response.url).hostname):
                raise _GiveUpError(
                    f"a web page came that leads to another server, {page.onwards!r}"
                )
            url = page.onwards
    raise AssertionError("unreachable")


def _direct(url):
    """The URL of the file that a Google Drive link is about, and whether it is such a link."""
    parts = urllib.parse.urlsplit(url)
    match = _DRIVE_PATH.fullmatch(parts.path)
    if not match:
        return url, parts.hostname == "drive.google.com"
    query = {"export": "download", "id": match[1]}
    key = urllib.parse.parse_qs(parts.query).get("resourcekey")
    if key:
        query["resourcekey"] = key[0]
    direct = parts._replace(path="/uc", query=urllib.parse.urlencode(query), fragment="")
    return direct.geturl(), True


def _is_near(url, host):
    """Whether a page of `host` may send us to `url`."""
    parts = urllib.parse.urlsplit(url)
    name = parts.hostname or ""
    google = name.endswith((".google.com", ".googleusercontent.com"))
    return parts.scheme in ("http", "https") and (name == host or google)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the web only, and notes what they say about the file."""

    def __init__(self):
        self.host = None  # stay with this one, or Google's
        self.linked_etag = None

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        self.linked_etag = headers.get("X-Linked-Etag", self.linked_etag)
        scheme = urllib.parse.urlsplit(newurl).scheme
        # To fall back from https would let anybody on the way swap the file.
        downgrade = req.full_url.startswith("https:") and scheme != "https"
        far = self.host is not None and not _is_near(newurl, self.host)
        if scheme not in ("http", "https") or downgrade or far:
            fp.close()
            raise _GiveUpError(f"a redirect to {newurl!r} came, which isn't followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _network_errors():
    """Sorts what can go wrong on the network by whether a second try may help."""
    try:
        yield
    except urllib.error.HTTPError as error:
        reason = f"HTTP {error.code} {error.reason}"
        wait = _retry_after(error.headers) if error.code in (429, 503) else None
        again = error.code in (408, 416, 425, 429) or error.code >= 500
        error.close()
        raise (_TryAgainError(reason, wait) if again else _GiveUpError(reason)) from error
    except (OSError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", error)
        reason = f"{type(cause).__name__}: {cause}"
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise _GiveUpError(reason) from error
        raise _TryAgainError(reason) from error
    except ValueError as error:
        # A redirect to what isn't a URL.
        raise _GiveUpError(f"the server's answer makes no sense: {error}") from error


def _retry_after(headers):
    """The seconds that a server asks for, up to the cap; `None` where it asks for none."""
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        # float() takes any number of digits.
        return min(float(value), RETRY_AFTER_CAP)
    try:
        wait = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), RETRY_AFTER_CAP)


def _read(response):
    """What has come of the body, one byte at least; empty at its end."""
    with _network_errors():
        return response.read1(_CHUNK)


def _read_up_to(limit, response, length, head):
    """`head` and what follows it in the body, until there are `limit` bytes or more."""
    while len(head) < limit and (length is None or len(head) < length):
        chunk = _read(response)
        if not chunk:
            break
        head += chunk
    return head


def _has_surplus(response):
    """Whether more bytes come than were declared."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(response, selectors.EVENT_READ)
            # Not every server closes the connection when asked to; most do at once.
            return bool(selector.select(_SURPLUS_WAIT)) and bool(response.read1(1))
        except (OSError, ValueError, http.client.HTTPException):
            return False


def _is_page(response, head):
    """Whether a web page came, by its type or, unless it's the middle of a file, its beginning."""
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        return True
    return response.status == 200 and _MARKUP.match(head) is not None


class _Page(html.parser.HTMLParser):
    """A web page that came in place of a file.

    `onwards` is where its form or link with a `confirm` leads: Google Drive wants that for what
    it can't scan for viruses.
    """

    def __init__(self, body: bytes, url: str):
        super().__init__()
        self.url, self.onwards = url, None
        self.title, self.in_title, self.form = "", False, None
        self.text = body.decode("utf-8", "replace")
        # The parser stumbles over some malformed declarations.
        with contextlib.suppress(AssertionError):
            self.feed(self.text)
        self.handle_endtag("form")

    def handle_starttag(self, tag, attrs):
        given = {key: value or "" for key, value in attrs}
        if tag == "title":
            self.in_title = True
        elif tag == "form":
            self.form = (given.get("action", ""), {})
        elif tag == "input" and self.form and given.get("name"):
            self.form[1][given["name"]] = given.get("value", "")
        elif tag == "a":
            self._follow(given.get("href", ""), {})

    def handle_endtag(self, tag):
        if tag == "title":
            self.in_title = False
        elif tag == "form" and self.form:
            self._follow(*self.form)
            self.form = None

    def handle_data(self, data):
        if self.in_title:
            self.title += data

    def _follow(self, address, fields):
        """Takes the address if it, or the form's fields, hold a `confirm`; the first one wins."""
        try:
            parts = urllib.parse.urlsplit(urllib.parse.urljoin(self.url, address))
            query = {**dict(urllib.parse.parse_qsl(parts.query)), **fields}
        except ValueError:
            return
        if self.onwards is None and "confirm" in query:
            self.onwards = parts._replace(
                path=urllib.parse.quote(parts.path, safe="/%:@+,;=~!$&'()*"),
                query=urllib.parse.urlencode(query),
                fragment="",
            ).geturl()

    def complaint(self) -> str:
        title = " ".join(self.title.split())[:100]
        if re.search(r"quota|too many users", self.text, re.IGNORECASE):
            return (
                f"a web page came instead of the file ({title!r}): its download quota is used "
                "up for now, which lasts for about a day"
            )
        return f"a web page came instead of the file ({title!r})"


def _progress(total: int | None) -> Callable[[int], None]:
    """Draws how many bytes are there, for somebody who looks."""
    # The bar is drawn on stdout, and must not end up in a file.
    if not all(stream is not None and stream.isatty() for stream in (sys.stderr, sys.stdout)):
        return lambda got: None
    import keras

    return keras.utils.Progbar(total, unit_name="byte").update
