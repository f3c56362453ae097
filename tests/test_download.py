"""Downloads from a real server on this machine that behaves as badly as the web does."""

import base64
import contextlib
import email.utils
import errno
import hashlib
import http.server
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from cases import BACKEND

from keras_shiftmlp.checkpoints import containers
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.downloads import fetch as download
from keras_shiftmlp.downloads.fetch import DownloadError, fetch

pytestmark = pytest.mark.skipif(BACKEND != "numpy", reason="runs once, on numpy")

DATA = np.random.default_rng(1).bytes(700_001)
OTHER = np.random.default_rng(2).bytes(700_001)
SHA256 = hashlib.sha256(DATA).hexdigest()
PAGE = b"<!DOCTYPE html><html><head><title>Please sign in</title></head></html>"

CHILD = """
import sys
from pathlib import Path
from keras_shiftmlp.downloads import cache
from keras_shiftmlp.downloads import fetch as download
download.BACKOFF = 0
"""


class Server(http.server.ThreadingHTTPServer):
    """Answers each path with its behaviours in turn, the last one for good."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.requests = {}, []
        self.go_on = threading.Event()

    def add(self, path, *behaviours):
        self.script[path] = list(behaviours)
        return self.url(path)

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"

    def headers_of(self, index):
        return self.requests[index][1]

    def handle_error(self, request, client_address):
        """Says nothing about clients that hang up."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.requests.append((self.path, self.headers))
        behaviours = self.server.script.get(self.path.partition("?")[0], [status(404)])
        behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
        self.close_connection = True
        behaviour(self)

    def log_message(self, *args):
        pass

    def start(self, code, headers):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()


def status(code, body=b"no", **headers):
    def behave(handler):
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        handler.start(code, {"Content-Length": str(len(body)), **named})
        handler.wfile.write(body)

    return behave


def page(body, content_type="text/html; charset=utf-8", cookie=None):
    headers = {"Set_Cookie": cookie} if cookie else {}
    return status(200, body, Content_Type=content_type, **headers)


def redirect(location, code=302, **headers):
    return status(code, b"", Location=location, **headers)


def serve(data=DATA, *, etag='"v1"', modified=None, ranges=True, cut=None, stall=False, **more):
    """A file; `cut` bytes of the body only, and then the end, or nothing with `stall`."""

    def behave(handler):
        asked = handler.headers.get("Range") if ranges else None
        if handler.headers.get("If-Range") not in (None, etag, modified):
            asked = None
        begin = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        headers = {"Content-Length": str(len(data) - begin)}
        headers |= {"ETag": etag} if etag else {}
        headers |= {"Last-Modified": modified} if modified else {}
        headers |= {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"} if asked else {}
        headers |= {key.replace("_", "-"): value for key, value in more.items()}
        handler.start(206 if asked else 200, headers)
        handler.wfile.write(data[begin:] if cut is None else data[begin : begin + cut])
        if stall:
            handler.server.go_on.wait(20)

    return behave


def silent(handler):
    handler.server.go_on.wait(20)


def chunked(data, end=True):
    def behave(handler):
        handler.start(200, {"Transfer-Encoding": "chunked"})
        half = len(data) // 2
        for piece in (data[:half], data[half:]):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n" if end else b"")

    return behave


def base64_of(algorithm, data=DATA):
    return base64.b64encode(hashlib.new(algorithm, data).digest()).decode()


def names(folder):
    """What is kept; the empty lock files stay for those who wait for them."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF", 0.001)
    monkeypatch.setattr(download, "TIMEOUT", 10)
    monkeypatch.setenv("no_proxy", "*")


def start_child(code, *arguments):
    command = [sys.executable, "-c", CHILD + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_part(folder, url, part, **notes):
    """What a process that died leaves behind."""
    known = dict(validator='"v1"', total=len(DATA), md5=None)
    (folder / "f.bin.part").write_bytes(part)
    (folder / "f.bin.part.json").write_text(
        json.dumps({"url": cache.digest_of(url), **known, **notes})
    )


# The plain course of things


def test_fresh_download_is_logged_and_then_kept(server, tmp_path, caplog):
    url = server.add("/f", serve())
    caplog.set_level("INFO", logger="keras_shiftmlp")
    path = fetch(url, "f.bin", sha256=SHA256.upper(), max_bytes=len(DATA), folder=tmp_path)
    assert path == tmp_path / "f.bin"
    assert path.read_bytes() == DATA
    assert names(tmp_path) == ["f.bin", "f.bin.sha256"]
    assert (tmp_path / "f.bin.sha256").read_text() == f"{SHA256}  f.bin\n"
    (record,) = caplog.records
    assert url in record.getMessage()
    assert SHA256 in record.getMessage()

    assert fetch(url, "f.bin", sha256=SHA256, folder=tmp_path) == path
    assert fetch(url, "f.bin", sha256=SHA256[:8], folder=tmp_path) == path
    assert fetch(url, "f.bin", folder=tmp_path) == path
    assert len(server.requests) == 1
    assert server.headers_of(0)["User-Agent"] == "keras_shiftmlp"
    assert server.headers_of(0)["Accept-Encoding"] == "identity"


def test_cache_folder_follows_keras_home(server, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    url = server.add("/f", serve())
    assert fetch(url, "f.bin") == tmp_path / "home" / "models" / "keras_shiftmlp" / "f.bin"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache.cache_folder() == tmp_path / ".keras" / "models" / "keras_shiftmlp"


def test_empty_file(server, tmp_path):
    url = server.add("/f", serve(b""))
    assert fetch(url, "f.bin", max_bytes=0, folder=tmp_path).read_bytes() == b""


def test_chunked(server, tmp_path):
    url = server.add("/f", chunked(DATA))
    assert fetch(url, "f.bin", max_bytes=len(DATA), folder=tmp_path).read_bytes() == DATA


def test_chunked_and_cut(server, tmp_path):
    url = server.add("/f", chunked(DATA[:5000], end=False), chunked(DATA))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


def test_redirects_keep_the_range(server, tmp_path):
    there = server.add("/there", serve(cut=300_000), serve())
    url = server.add("/f", redirect(there, 307))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(3)["Range"] == "bytes=300000-"
    assert server.headers_of(3)["If-Range"] == '"v1"'


def test_progress_bar_on_a_terminal_only(server, tmp_path, monkeypatch, capsys):
    url = server.add("/f", serve())
    fetch(url, "quiet.bin", folder=tmp_path)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(url, "bar.bin", folder=tmp_path)
    output, errors = capsys.readouterr()
    assert output == ""
    assert "bar.bin" in errors and "700.0/700.0 kB" in errors


# What isn't the expected file


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (dict(sha256="0" * 64), f"sha256 {'0' * 64}, received {SHA256}"),
        (dict(sha256="00000000"), f"sha256 00000000, received {SHA256}"),
        (dict(max_bytes=700_000), "expected at most 700000 bytes"),
    ],
    ids=["sha256", "prefix", "size"],
)
def test_wrong_content_leaves_nothing(server, tmp_path, wanted, message):
    url = server.add("/f", serve())
    with pytest.raises(ValueError, match=message) as error:
        fetch(url, "f.bin", folder=tmp_path, **wanted)
    assert not isinstance(error.value, OSError)
    assert url in str(error.value)
    assert names(tmp_path) == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("most", [0, 5000, 700_000])
def test_too_much_of_undeclared_length(server, tmp_path, most):
    url = server.add("/f", chunked(DATA))
    with pytest.raises(ValueError, match=f"at most {most} bytes, more came"):
        fetch(url, "f.bin", max_bytes=most, folder=tmp_path)
    assert names(tmp_path) == []
    assert len(server.requests) == 1


def test_file_of_unknown_size_is_bounded(server, tmp_path, monkeypatch):
    assert download.MAX_BYTES == containers.MAX_BYTES
    monkeypatch.setattr(download, "MAX_BYTES", 100_000)
    url = server.add("/f", chunked(DATA))
    with pytest.raises(ValueError, match="at most 100000 bytes, more came"):
        fetch(url, "f.bin", folder=tmp_path)
    assert names(tmp_path) == []


def test_wrong_format(server, tmp_path):
    def looks_right(path):
        assert path.read_bytes() == DATA
        raise ValueError("not a checkpoint")

    url = server.add("/f", serve())
    with pytest.raises(ValueError, match="not a checkpoint"):
        fetch(url, "f.bin", looks_right=looks_right, folder=tmp_path)
    assert names(tmp_path) == []


DIGESTS = {
    "x-goog-hash": lambda x: {"x_goog_hash": f"crc32c=AAAAAA==,md5={base64_of('md5', x)}"},
    "Content-MD5": lambda x: {"Content_MD5": base64_of("md5", x)},
}


@pytest.mark.parametrize("header", DIGESTS)
def test_right_server_digest(server, tmp_path, header):
    url = server.add("/f", serve(**DIGESTS[header](DATA)))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("header", DIGESTS)
def test_wrong_server_digest(server, tmp_path, header):
    url = server.add("/f", serve(**DIGESTS[header](OTHER)))
    with pytest.raises(ValueError, match="the server declared the md5"):
        fetch(url, "f.bin", folder=tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "headers",
    [
        dict(x_goog_hash="md5=!!!"),
        dict(x_goog_hash="md5"),
        dict(Content_MD5="AAAA"),
        dict(x_goog_hash=",,=,"),
        dict(Content_MD5="AAAA====", x_goog_hash="sha1=AAAA,md5="),
    ],
    ids=str,
)
def test_what_is_no_digest_is_ignored(server, tmp_path, headers):
    url = server.add("/f", serve(**headers))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


def test_published_hash_outranks_the_server(server, tmp_path):
    url = server.add("/f", serve(Content_MD5=base64_of("md5", OTHER)))
    assert fetch(url, "f.bin", sha256=SHA256, folder=tmp_path).read_bytes() == DATA


# The cache


def test_corrupt_cache_is_replaced(server, tmp_path, caplog):
    url = server.add("/f", serve())
    path = fetch(url, "f.bin", folder=tmp_path)
    path.write_bytes(DATA[:-1] + b"?")
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert "downloaded again" in caplog.text
    path.write_bytes(DATA[:-1])
    assert fetch(url, "f.bin", sha256=SHA256, folder=tmp_path).read_bytes() == DATA
    assert len(server.requests) == 3


def test_corrupt_cache_without_network(server, tmp_path):
    url = server.add("/f", serve(), status(404))
    path = fetch(url, "f.bin", folder=tmp_path)
    path.write_bytes(DATA[:-1])
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch(url, "f.bin", folder=tmp_path)
    assert names(tmp_path) == ["f.bin.sha256"]


def test_first_hash_is_enforced(server, tmp_path):
    url = server.add("/f", serve(), serve(OTHER))
    fetch(url, "f.bin", folder=tmp_path).unlink()
    with pytest.raises(ValueError, match=f"sha256 {SHA256}, as at the first download, received"):
        fetch(url, "f.bin", folder=tmp_path)
    assert names(tmp_path) == ["f.bin.sha256"]


def test_new_edition_with_a_published_hash(server, tmp_path):
    url = server.add("/f", serve(), serve(OTHER))
    fetch(url, "f.bin", sha256=SHA256, folder=tmp_path)
    new = hashlib.sha256(OTHER).hexdigest()
    assert fetch(url, "f.bin", sha256=new, folder=tmp_path).read_bytes() == OTHER
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == OTHER
    assert len(server.requests) == 2
    server.add("/f", serve())
    path = fetch(url, "f.bin", sha256=SHA256[:10], folder=tmp_path)
    assert path.read_bytes() == DATA


def test_file_put_there_by_hand(server, tmp_path):
    (tmp_path / "f.bin").write_bytes(DATA)
    url = server.add("/f", serve(OTHER))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert names(tmp_path) == ["f.bin", "f.bin.sha256"]
    assert server.requests == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_cache_that_can_only_be_read(server, tmp_path):
    (tmp_path / "f.bin").write_bytes(DATA)
    tmp_path.chmod(0o500)
    try:
        assert fetch(server.url("/f"), "f.bin", folder=tmp_path).read_bytes() == DATA
        with pytest.raises(PermissionError):
            fetch(server.add("/g", serve()), "g.bin", folder=tmp_path)
    finally:
        tmp_path.chmod(0o700)


# Broken off, and taken up again


def test_cut_connection_is_resumed(server, tmp_path):
    cuts = [serve(cut=300_000), serve(cut=100_000), serve()]
    url = server.add("/f", *cuts)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert [headers["Range"] for _, headers in server.requests] == [
        None,
        "bytes=300000-",
        "bytes=400000-",
    ]
    assert server.headers_of(1)["If-Range"] == '"v1"'


def test_resumed_by_date(server, tmp_path):
    date = email.utils.formatdate(1e9, usegmt=True)
    same = dict(etag='W/"weak"', modified=date)
    url = server.add("/f", serve(cut=300_000, **same), serve(**same))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] == "bytes=300000-"
    assert server.headers_of(1)["If-Range"] == date


def test_resumed_without_validator_only_if_the_hash_is_known(server, tmp_path):
    url = server.add("/f", serve(etag=None, cut=300_000), serve(etag=None))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] is None
    url = server.add("/g", serve(etag=None, cut=300_000), serve(etag=None))
    assert fetch(url, "g.bin", sha256=SHA256, folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(3)["Range"] == "bytes=300000-"


def test_server_without_ranges(server, tmp_path):
    url = server.add("/f", serve(cut=300_000), serve(ranges=False))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] == "bytes=300000-"


def test_changed_in_between(server, tmp_path):
    url = server.add("/f", serve(OTHER, cut=300_000), serve(etag='"v2"'))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


def continue_anyway(handler):
    """Honours Range for another edition, against If-Range."""
    begin = int(handler.headers["Range"][len("bytes=") : -1])
    rest = {"Content-Length": str(len(DATA) - begin), "ETag": '"v2"'}
    handler.start(206, {**rest, "Content-Range": f"bytes {begin}-{len(DATA) - 1}/{len(DATA)}"})
    handler.wfile.write(DATA[begin:])


def test_changed_in_between_and_no_if_range(server, tmp_path):
    url = server.add("/f", serve(OTHER, cut=300_000), continue_anyway, serve(etag='"v2"'))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(2)["Range"] is None


@pytest.mark.parametrize("given", ["bytes 5-9/700001", "bytes 300000-400000/9", "no", ""])
def test_other_part_than_asked_for(server, tmp_path, given):
    wrong = status(206, b"?????", Content_Range=given)
    url = server.add("/f", serve(cut=300_000), wrong, serve())
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


def test_part_of_undeclared_total(server, tmp_path):
    rest = serve(Content_Range="bytes 300000-700000/*")
    url = server.add("/f", serve(cut=300_000), rest, status(404))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


def test_part_that_nobody_asked_for(server, tmp_path):
    url = server.add("/f", status(206, DATA, Content_Range=f"bytes 0-700000/{len(DATA)}"))
    with pytest.raises(DownloadError, match="another part than was asked for"):
        fetch(url, "f.bin", folder=tmp_path)


def test_part_of_a_longer_file(server, tmp_path):
    url = server.add("/f", status(416), serve())
    write_part(tmp_path, url, OTHER + OTHER)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] is None


def test_complete_part_needs_no_request(server, tmp_path):
    url = server.add("/f", serve())
    md5 = hashlib.md5(DATA).hexdigest()
    write_part(tmp_path, url, DATA, md5=md5)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.requests == []


@pytest.mark.parametrize("length", [300_000, len(DATA)])
def test_spoilt_part_is_replaced(server, tmp_path, length):
    url = server.add("/f", serve())
    write_part(tmp_path, url, bytes(length))
    assert fetch(url, "f.bin", sha256=SHA256, folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(-1)["Range"] is None


def test_digest_of_the_whole_outlives_the_cut(server, tmp_path):
    first = serve(cut=300_000, Content_MD5=base64_of("md5", OTHER))
    # The second header is of the rest only, and isn't compared with the whole.
    rest = serve(Content_MD5=base64_of("md5", DATA[300_000:]))
    url = server.add("/f", first, rest, serve(Content_MD5=base64_of("md5", OTHER)))
    with pytest.raises(ValueError, match="declared the md5"):
        fetch(url, "f.bin", folder=tmp_path)
    url = server.add("/f", serve(cut=300_000), rest)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("notes", ["", "[]", '{"url": 1}', '{"digests": 3}', "\udcff"])
def test_unreadable_notes(server, tmp_path, notes):
    (tmp_path / "f.bin.part").write_bytes(OTHER[:1000])
    (tmp_path / "f.bin.part.json").write_bytes(notes.encode("utf-8", "surrogateescape"))
    url = server.add("/f", serve())
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(0)["Range"] is None


def test_part_of_another_url_isnt_used(server, tmp_path):
    broken = server.add("/f", serve(OTHER, cut=300_000), status(404))
    with pytest.raises(DownloadError):
        fetch(broken, "f.bin", folder=tmp_path)
    assert fetch(server.add("/g", serve()), "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(2)["Range"] is None


def test_killed_process_is_resumed(server, tmp_path):
    url = server.add("/f", serve(cut=300_000, stall=True), serve())
    code = "download.fetch(sys.argv[1], 'f.bin', folder=Path(sys.argv[2]))"
    with start_child(code, url, tmp_path) as child:
        part = tmp_path / "f.bin.part"
        deadline = time.monotonic() + 20
        while not (part.is_file() and part.stat().st_size == 300_000):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.communicate()
    assert child.returncode != 0
    assert "f.bin" not in names(tmp_path)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] == "bytes=300000-"
    assert names(tmp_path) == ["f.bin", "f.bin.sha256"]


def slowly(handler):
    time.sleep(0.3)
    serve()(handler)


def test_many_processes_download_once(server, tmp_path):
    url = server.add("/f", slowly)
    code = """
path = download.fetch(sys.argv[1], 'f.bin', folder=Path(sys.argv[2]))
print(cache.sha256_of(path), end='')
"""
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(start_child(code, url, tmp_path)) for _ in range(8)]
        outputs = [child.communicate(timeout=40) for child in children]
    assert outputs == [(SHA256, "")] * 8
    assert len(server.requests) == 1
    assert names(tmp_path) == ["f.bin", "f.bin.sha256"]


def test_many_threads_and_failures_one_at_a_time(server, tmp_path):
    """Whoever waits for a lock that is removed under it takes the next one."""
    busy, most = [], []

    def behave(handler):
        busy.append(1)
        most.append(len(busy))
        time.sleep(0.02)
        busy.pop()
        status(404)(handler)

    def ask():
        # Whoever comes back meets those who still wait for the file that is gone.
        for _ in range(3):
            with pytest.raises(DownloadError):
                fetch(url, "f.bin", folder=tmp_path)

    url = server.add("/f", behave)
    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 24
    assert names(tmp_path) == []


# Servers in trouble


def test_declares_too_much(server, tmp_path):
    url = server.add("/f", serve(Content_Length=str(len(DATA) + 5)), serve(ranges=False))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    url = server.add("/g", serve(etag=None, Content_Length=str(len(DATA) + 5)))
    with pytest.raises(DownloadError, match="700001 bytes read, 5 more expected"):
        fetch(url, "g.bin", folder=tmp_path)


def test_connection_that_stays_open(server, tmp_path):
    url = server.add("/f", serve(stall=True))
    begin = time.monotonic()
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("code", [403, 404, 410, 204, 304])
def test_lasting_answer_is_not_asked_for_again(server, tmp_path, code):
    with pytest.raises(DownloadError, match=f"HTTP {code}") as error:
        fetch(server.add("/gone", status(code, b"")), "f.bin", folder=tmp_path)
    assert isinstance(error.value, FileNotFoundError) == (code == 404)
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after(server, tmp_path, monkeypatch, code):
    url = server.add("/f", status(code, Retry_After="1"), serve())
    begin = time.monotonic()
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert time.monotonic() - begin >= 1

    monkeypatch.setattr(download, "RETRY_AFTER_CAP", 0.1)
    dates = ("9" * 999, email.utils.formatdate(time.time() + 9999, usegmt=True))
    for i, value in enumerate((*dates, "soon", "Mon, 99 Foo", "-1", "0")):
        url = server.add(f"/{i}", status(code, Retry_After=value), serve())
        assert fetch(url, f"{i}.bin", folder=tmp_path).read_bytes() == DATA
    assert time.monotonic() - begin < 5


def test_error_names_the_reasons(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download, "BACKOFF", 1)
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}/f"
        for url, reason in (
            (server.add("/f", status(500), status(501)), "HTTP 500 .*; then HTTP 501 "),
            (closed, "ConnectionRefused"),
        ):
            with pytest.raises(DownloadError, match=f"{url}: {reason}") as error:
                fetch(url, "f.bin", sha256=SHA256, folder=tmp_path)
            assert isinstance(error.value, OSError)
    assert [path for path, _ in server.requests] == ["/f"] * 3
    assert pauses == [1, 2, 1, 2]


@pytest.mark.parametrize("behaviour", [silent, serve(cut=0, stall=True), serve(cut=9, stall=True)])
def test_silent_server_is_given_up_on(server, tmp_path, monkeypatch, behaviour):
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=r"[Tt]ime"):
        fetch(server.add("/f", behaviour), "f.bin", folder=tmp_path)
    assert time.monotonic() - begin < 5
    assert len(server.requests) == 3


def gibberish(handler):
    handler.wfile.write(b"\x00 gibberish\r\n\r\n")


def test_gibberish(server, tmp_path):
    with pytest.raises(DownloadError, match="BadStatusLine"):
        fetch(server.add("/f", gibberish), "f.bin", folder=tmp_path)


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/f", "data:,x", "http://[", "//:x/", "/f"]
)
def test_redirects_that_arent_followed(server, tmp_path, location):
    with pytest.raises(DownloadError, match=r"from http://127.0.0.1:\d+/f: "):
        fetch(server.add("/f", redirect(location)), "f.bin", folder=tmp_path)
    assert names(tmp_path) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs a certificate")
def test_https(server, tmp_path, monkeypatch):
    certificate = tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext"
    command = [*command.split(), "subjectAltName=IP:127.0.0.1", "-keyout", certificate]
    subprocess.run([*command, "-out", tmp_path / "x.pem"], check=True, capture_output=True)
    with open(certificate, "ab") as file:
        file.write((tmp_path / "x.pem").read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)

    url = server.add("/f", serve(cut=300_000), serve()).replace("http:", "https:")
    with monkeypatch.context() as patch:
        patch.setattr(download.time, "sleep", None)  # no second try
        with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(url, "f.bin", folder=tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "x.pem"))
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(1)["Range"] == "bytes=300000-"

    url = server.add("/g", redirect(server.url("/f"))).replace("http:", "https:")
    with pytest.raises(DownloadError, match=r"redirect to 'http://127.* is not followed"):
        fetch(url, "g.bin", folder=tmp_path)


# Web pages


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (PAGE, "text/html"),
        (PAGE, "application/octet-stream"),
        (b"\xef\xbb\xbf\r\n " + PAGE, "application/octet-stream"),
        (PAGE.decode().encode("utf-16"), "application/octet-stream"),
        (b"<?xml version='1.0'?><Error/>", "application/xml"),
        (b"sorry", "text/html; charset=utf-8"),
        (b"<![bogus <title>", "text/html"),
        (b"", "text/html"),
    ],
)
def test_web_page_is_refused(server, tmp_path, body, content_type):
    url = server.add("/f", page(body, content_type))
    with pytest.raises(DownloadError, match="a web page came instead of the file"):
        fetch(url, "f.bin", folder=tmp_path)
    assert names(tmp_path) == []
    assert len(server.requests) == 1


def test_web_page_instead_of_the_rest(server, tmp_path):
    url = server.add("/f", serve(cut=300_000), page(PAGE), serve())
    with pytest.raises(DownloadError, match="web page"):
        fetch(url, "f.bin", folder=tmp_path)
    assert fetch(url, "f.bin", folder=tmp_path).read_bytes() == DATA
    assert server.headers_of(2)["Range"] == "bytes=300000-"


def test_header_length_that_looks_like_markup(server, tmp_path):
    """A safetensors file whose header is 0x3c20 bytes long begins with ` <`."""
    for length in (0x3C20, 0x413C):
        data = length.to_bytes(8, "little") + b'{"'
        url = server.add(f"/{length}", serve(data))
        assert fetch(url, f"{length}.bin", folder=tmp_path).read_bytes() == data


# Disks, arguments


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_full_disk(server, tmp_path):
    url = server.add("/f", serve())
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    download.fetch(sys.argv[1], 'f.bin', folder=Path(sys.argv[2]))
except OSError as error:
    print(type(error).__name__, error.errno, error)
"""
    with start_child(code, url, tmp_path) as child:
        output, errors = child.communicate(timeout=20)
    assert errors == ""
    assert output.startswith("OSError 27 ")
    assert "There is no room for `f.bin`" in output
    assert "KERAS_HOME" in output
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_other_ways_of_a_disk_to_be_full(server, tmp_path, code):
    def looks_right(path):
        raise OSError(code, "full")

    url = server.add("/f", serve())
    with pytest.raises(OSError, match=r"no room for `f\.bin`") as error:
        fetch(url, "f.bin", looks_right=looks_right, folder=tmp_path)
    assert error.value.errno == code
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "filename",
    ["", ".", "..", "a/b", "/etc/passwd", "..\\a", "C:a", "a\0", "a\n", "f.part", "f.sha256", None]
    + [Path("a"), b"a", "a*", "f.lock", "f.part.json"],
)
def test_bad_filename(server, tmp_path, filename):
    with pytest.raises(ValueError, match=r"`filename` must be .*Received: `filename="):
        fetch(server.add("/f", serve()), filename, folder=tmp_path)
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [["http://a/f"], [], None, "file:///etc/passwd", "ftp://a/f", "http:///f", "f", "data:,x"]
    + ["http://[/f", "http://a/é", "http://a/b c", b"http://a", "http://a:99999/f", "http://a/\n"],
)
def test_bad_url(tmp_path, url):
    with pytest.raises(ValueError, match=r"`url` must be .*Received: `url="):
        fetch(url, "f.bin", folder=tmp_path)


@pytest.mark.parametrize(
    "wanted",
    [
        dict(sha256="abc"),
        dict(sha256="g" * 64),
        dict(sha256=SHA256 + "\n"),
        dict(sha256=b"0" * 64),
        dict(sha256=""),
        dict(sha256="abcdef0"),
        dict(sha256="0" * 65),
    ],
    ids=str,
)
def test_bad_expectations(tmp_path, wanted):
    (name,) = wanted
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: `{name}="):
        fetch("http://127.0.0.1:1/f", "f.bin", folder=tmp_path, **wanted)


# Servers and neighbours that mean harm


def test_dripping_server_is_given_up_on(server, tmp_path, monkeypatch):
    """Each byte comes in time, so no time-out ends it."""

    def drip(handler):
        handler.start(200, {"Content-Length": "700001", "ETag": '"v1"'})
        with contextlib.suppress(OSError):
            for _ in range(250):  # five seconds
                if handler.server.go_on.wait(0.02):
                    break
                handler.wfile.write(b"x")

    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setattr(download, "TRIES", 1)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match="fewer than 1024 bytes a second"):
        fetch(server.add("/f", drip), "f.bin", folder=tmp_path)
    assert time.monotonic() - begin < 5


def test_redirect_of_endless_body(server, tmp_path):
    there = server.add("/there", serve())

    def endless(handler):
        handler.start(302, {"Location": there, "Content-Length": str(10**9)})
        handler.server.go_on.wait(5)

    begin = time.monotonic()
    path = fetch(server.add("/f", endless), "f.bin", folder=tmp_path)
    assert path.read_bytes() == DATA and time.monotonic() - begin < 4


def test_redirects_in_a_circle(server, tmp_path):
    with pytest.raises(DownloadError, match="10 redirects"):
        fetch(server.add("/f", redirect("/f")), "f.bin", folder=tmp_path)
    assert len(server.requests) == 11


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_planted_links_lead_nowhere(server, tmp_path, link):
    victim, folder = tmp_path / "victim", tmp_path / "cache"
    victim.write_bytes(DATA[:1000])
    folder.mkdir()
    url = server.add("/f", serve())
    write_part(folder, url, b"")
    (folder / "f.bin.part").unlink()
    for suffix in (".part", ".sha256.tmp", ".sha256"):
        link(victim, folder / f"f.bin{suffix}")
    assert fetch(url, "f.bin", folder=folder).read_bytes() == DATA
    assert (folder / "f.bin.sha256").read_text() == f"{SHA256}  f.bin\n"
    (folder / "f.bin").unlink()
    link(victim, folder / "f.bin.part.json")
    assert fetch(url, "f.bin", folder=folder).read_bytes() == DATA
    assert victim.read_bytes() == DATA[:1000]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_a_link_planted_after_the_checks_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    file = cache.CachedFile(tmp_path / "f.bin", None, None)
    file.part.symlink_to(victim)
    with pytest.raises(OSError, match=r"f\.bin\.part"):
        download._append([b"theirs"], file, 0, None)
    assert victim.read_bytes() == b"mine"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_planted_lock_makes_no_file(server, tmp_path):
    (tmp_path / "f.bin.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError) as error:
        fetch(server.add("/f", serve()), "f.bin", folder=tmp_path)
    assert error.value.errno == errno.ELOOP
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such rights")
def test_shared_folder_is_named_once(server, tmp_path, caplog):
    tmp_path.chmod(0o777)
    url = server.add("/f", serve())
    fetch(url, "certain.bin", sha256=SHA256, folder=tmp_path)
    assert "other users" not in caplog.text
    for name in ("a.bin", "b.bin"):
        fetch(url, name, folder=tmp_path)
    assert caplog.text.count(f"{tmp_path} can be written by other users") == 1
    umask = os.umask(0o002)
    try:
        fetch(url, "c.bin", folder=tmp_path / "made")
    finally:
        os.umask(umask)
    assert caplog.text.count("other users") == 1


def test_token_is_kept_secret(server, tmp_path, caplog):
    caplog.set_level("DEBUG", logger="keras_shiftmlp")
    url = server.add("/f", serve(cut=300_000), status(404)) + "?token=SECRET"
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://user:SECRET@127.0.0.1:{unused.getsockname()[1]}/f?token=SECRET"
        away = server.add("/away", redirect("ftp://a/f?token=SECRET"))
        texts = []
        for secret in (away, closed, url):
            with pytest.raises(DownloadError) as error:
                fetch(secret, "f.bin", folder=tmp_path)
            texts.append(str(error.value))
    assert "/f?..." in texts[-1]
    fetch(server.add("/g", serve()) + "?token=SECRET", "g.bin", folder=tmp_path)
    assert "/g?..." in caplog.text
    with pytest.raises(ValueError, match="in ASCII") as other:
        fetch("http:///f?token=SECRET", "f.bin", folder=tmp_path)
    texts += [caplog.text, str(other.value)]
    texts += [path.read_text("latin-1") for path in tmp_path.glob("*.json")]
    assert len(texts) == 6 and not any("SECRET" in text for text in texts)


def test_plain_http_is_named_once(server, tmp_path, monkeypatch, caplog):
    monkeypatch.delenv("no_proxy")
    monkeypatch.setenv("http_proxy", server.url(""))
    for name in ("a", "b"):
        server.add(f"http://lab.example/{name}", serve())
        fetch(f"http://lab.example/{name}", f"{name}.bin", folder=tmp_path)
    assert caplog.text.count("lab.example is asked over http") == 1
    monkeypatch.setenv("no_proxy", "*")
    fetch(server.add("/f", serve()), "f.bin", folder=tmp_path)
    assert caplog.text.count("over http") == 1


def test_who_waits_is_told_for_what(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cache, "WAIT", 0.05)
    url = server.add("/f", slowly)
    threads = [
        threading.Thread(target=fetch, args=(url, "f.bin"), kwargs={"folder": tmp_path})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caplog.text.count("waiting for another process") == 1
    assert len(server.requests) == 1
