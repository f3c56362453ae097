"""HTTP for strangers' servers: retries, redirects, slow servers, web pages in place of files."""

import contextlib
import email.utils
import functools
import itertools
import logging
import re
import ssl
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import requests
import urllib3

logger = logging.getLogger("keras_shiftmlp")
Result = TypeVar("Result")

TIMEOUT = 30.0  # seconds to connect, and between two pieces of an answer
SLOWEST = 1024  # bytes a second, on average over `TIMEOUT` seconds
TRIES = 3  # per URL
BACKOFF = 1.0  # seconds before the second try, doubled from try to try
RETRY_AFTER_CAP = 60.0  # seconds; the longest wait that a server can ask for
MAX_REDIRECTS = 10

_CHUNK = 1 << 18
# Not a lone `<`: a safetensors file may begin with it, as the low byte of its header's length.
_MARKUP = re.compile(rb"(\xef\xbb\xbf)?\s*<[A-Za-z!?]|\xff\xfe\s*<\x00|\xfe\xff\x00<")


class DownloadError(OSError):
    """No URL gave the file; names the reason for each, and where to put the file by hand."""


class NotFoundError(DownloadError, FileNotFoundError):
    """Every URL answered 404."""


class Failure(Exception):
    """One try failed; `again` says whether another try may help, `wait` after how many seconds."""

    def __init__(self, reason, again=False, wait=None, code=None, wrong=False):
        super().__init__(reason)
        self.again, self.wait, self.code, self.wrong = again, wait, code, wrong


class _Redirected(Exception):
    """A server names another address."""


def redacted(url: str) -> str:
    """A URL for logs and errors, without password and query, which may hold a token."""
    address, query, _ = url.partition("?")
    address = re.sub(r"(?<=://)[^/]*@", "", address) if address.startswith("http") else address
    return f"{address}?..." if query else address


def is_url(url) -> bool:
    """Whether `url` is an `http(s)://` URL in ASCII."""
    try:
        parts = urllib.parse.urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        return bool(good) and url.isascii() and url.isprintable() and " " not in url
    except (ValueError, AttributeError, TypeError):
        return False


def text_at(url: str, max_bytes: int) -> str:
    """The text at a URL, under the rules of `fetch` for redirects, retries and slow servers.

    Raises:
        ValueError: If it is longer than `max_bytes` or not UTF-8.
        NotFoundError: If the server answers 404.
        DownloadError: If it cannot be read for another reason.
    """

    def read():
        with ask(url, {}) as response:
            if response.status_code != 200:
                raise Failure(f"HTTP {response.status_code} {response.reason}")
            body = bytearray()
            for chunk in chunks_of(response):
                body += chunk
                if len(body) > max_bytes:
                    raise ValueError(f"{redacted(url)} is longer than {max_bytes:,} bytes")
            return body.decode("utf-8")

    text, failures = retried(read)
    if text is None:
        kind = NotFoundError if failures[-1].code == 404 else DownloadError
        raise kind(f"{redacted(url)}: {in_words(failures)}")
    return text


def retried(action: Callable[[], Result]) -> tuple[Result | None, list[Failure]]:
    """`(result, failures)` of an action that is tried several times; the result may be `None`."""
    failures, pause = [], 0.0
    for attempt in range(TRIES):
        if attempt:
            time.sleep(pause)
        try:
            return action(), failures
        except Failure as error:
            failures.append(error)
            if not error.again:
                break
            pause = BACKOFF * 2**attempt if error.wait is None else error.wait
    return None, failures


def in_words(failures: list[Failure]) -> str:
    """The reasons, each once."""
    return "; then ".join(dict.fromkeys(map(str, failures)))


@contextlib.contextmanager
def ask(url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
    """Requests a URL, redirected or not; the body is not read yet.

    Raises:
        Failure: For a redirect that is not followed, an answer of 400 or more, or no answer.
    """
    headers = {"User-Agent": "keras_shiftmlp", "Accept-Encoding": "identity", **headers}
    with requests.Session() as session:
        # `requests` reads the whole body of a redirect, whatever its size. The hook comes first.
        session.hooks["response"].append(_stop_at_redirect)
        for _ in range(MAX_REDIRECTS):
            _warn_of_plain_http(urllib.parse.urlsplit(url))
            try:
                with _network_errors():
                    response = session.get(url, headers=headers, stream=True, timeout=TIMEOUT)
            except _Redirected as redirect:
                url = str(redirect)
                continue
            with response:
                code = response.status_code
                if code >= 400:
                    again = code in (408, 416, 425, 429) or code >= 500
                    wait = _retry_after(response) if code in (429, 503) else None
                    raise Failure(f"HTTP {code} {response.reason}", again, wait, code)
                yield response
            return
    raise Failure(f"more than {MAX_REDIRECTS} redirects came")


def _stop_at_redirect(response, **_):
    if not response.is_redirect:
        return
    response.close()
    try:
        url = urllib.parse.urljoin(response.url, response.headers["Location"])
    except ValueError:
        url = response.headers["Location"]
    # From https to http, anybody on the way could swap the file.
    downgrade = response.url.startswith("https:") and not url.startswith("https:")
    if downgrade or not is_url(url):
        raise Failure(f"a redirect to {redacted(url)!r} came, which is not followed")
    raise _Redirected(url)


@functools.cache
def _warn_of_plain_http_to(host):
    logger.warning(
        "%s is asked over http: anybody on the way can swap its files. Prefer https.", host
    )


def _warn_of_plain_http(parts):
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        _warn_of_plain_http_to(parts.hostname)


@contextlib.contextmanager
def _network_errors():
    """Sorts what can go wrong on the network by whether a second try may help."""
    try:
        yield
    except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:
        cause = _root(error)
        # A ValueError is an address that makes no sense.
        again = not isinstance(error, ValueError)
        again = again and not isinstance(cause, ssl.SSLCertVerificationError)
        raise Failure(f"{type(cause).__name__}: {cause}", again) from error


def _root(error):
    """The first of the nested exceptions; the texts of the outer ones repeat the whole URL."""
    nested = [*error.args, getattr(error, "reason", None), error.__cause__]
    inner = next((x for x in nested if isinstance(x, Exception)), None)
    return error if inner is None else _root(inner)


def _retry_after(response):
    """The seconds that a server asks for, up to the cap; `None` if it asks for none."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        # float() takes any number of digits.
        return min(float(value), RETRY_AFTER_CAP)
    try:
        wait = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), RETRY_AFTER_CAP)


def chunks_of(response: requests.Response) -> Iterator[bytes]:
    """The body, piece by piece as it comes, from a server that is fast enough."""
    begin, got = time.monotonic(), 0
    while True:
        with _network_errors():
            chunk = response.raw.read1(_CHUNK, decode_content=False)
        if not chunk:
            return
        yield chunk
        got += len(chunk)
        seconds = time.monotonic() - begin
        if seconds >= TIMEOUT:
            if got < SLOWEST * seconds:
                raise Failure(f"time-out: fewer than {SLOWEST} bytes a second came", again=True)
            begin, got = time.monotonic(), 0


def without_pages(response: requests.Response) -> Iterator[bytes]:
    """The body of a response, unless it is a web page by its type or its beginning."""
    chunks = chunks_of(response)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    head = b""
    while len(head) < 1024 and (chunk := next(chunks, b"")):
        head += chunk
    # The middle of a file may look like anything.
    markup = response.status_code == 200 and _MARKUP.match(head)
    if markup or kind in ("text/html", "application/xhtml+xml"):
        title = re.search(rb"<title>([^<]{,100})", head)
        title = f" ({title[1].decode('utf-8', 'replace').strip()!r})" if title else ""
        raise Failure(f"a web page came instead of the file{title}")
    return itertools.chain([head], chunks)


@contextlib.contextmanager
def progress_bar(name: str, total: int | None, done: int) -> Iterator[Callable[[int], None]]:
    """Draws speed and remaining time on a terminal, and nothing elsewhere."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich import console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True)) as bar:
        task = bar.add_task(name, total=total, completed=done)
        yield functools.partial(bar.advance, task)
