"""Failed downloads: the cache contains the complete file or none, and the error has one line."""

import errno
import hashlib
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gradcam_cli.errors import WeightsError
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import cache_directory, ensure_weights
from gradcam_cli.storage import download

CONTENT = bytes(range(256)) * 1000
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 256000\r\n\r\n" + CONTENT


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture
def application():
    return catalog()["vgg19"]._replace(weights_file="tiny.h5", hash=hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def server(monkeypatch):
    """A server that sends the test's pieces: bytes, or pauses in seconds."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            answer.requests += 1
            try:
                for piece in answer.pieces:
                    time.sleep(piece) if isinstance(piece, float) else self.wfile.write(piece)
            except OSError:
                pass

    class Answer:
        requests, pieces = 0, (WHOLE,)

    answer = Answer()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as serving:
        serving.daemon_threads = True
        threading.Thread(target=serving.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", f"http://127.0.0.1:{serving.server_address[1]}")
        yield answer
        serving.shutdown()


def in_cache():
    return sorted(path.name for path in cache_directory().glob("*"))


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        *(WHOLE[: len(WHOLE) * tenth // 10] for tenth in range(10)),
        *(
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + rest
            for rest in (b"3e800\r\nabc", b"zz\r\n", b"", b"-5\r\nab")
        ),
        *(
            HEAD + f"Content-Length: {length}\r\n\r\n".encode() + CONTENT[:-1]
            for length in ("-1", "x", "9" * 30, "255999")
        ),
        *(
            HEAD + b"\r\n" + CONTENT[:-1],
            HEAD + b"\r\n<html>sign in</html>",
            HEAD + b"X: " + b"y" * 70_000 + b"\r\n\r\n",
        ),
        *(
            b"\x15\x03\x01\0\x02\x02F",
            b"HTTP/1.1 999 \r\n\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
        ),
        *(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n", b"HTTP/1.1 503 Busy\r\n\r\n", b"\0" * 999),
        WHOLE[:-1] + b"x",
    ],
    ids=lambda answer: ascii(answer[:40])[2:-1],
)
def test_malformed_response_leaves_no_file(application, server, answer):
    """Truncated, malformed HTTP, or a wrong hash: WeightsError of one line, no file, and a retry succeeds."""
    server.pieces = (answer,)
    with pytest.raises(WeightsError) as caught:
        ensure_weights(application)
    assert "\n" not in caught.value.message
    assert in_cache() == []
    server.pieces = (WHOLE,)
    assert ensure_weights(application).read_bytes() == CONTENT
    assert in_cache() == ["tiny.h5"]


def test_slow_download_is_aborted(application, server, monkeypatch):
    """A few bytes per second reset the read timeout, but the average speed is too low."""
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.pieces = (HEAD + b"Content-Length: 256000\r\n\r\n", *(b"x", 0.05) * 100)
    start = time.monotonic()
    with pytest.raises(WeightsError, match="too slow"):
        ensure_weights(application)
    assert time.monotonic() - start < 3
    assert in_cache() == []


def test_stalled_download_times_out(application, server, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    server.pieces = (WHOLE[:9000], 2.0)
    with pytest.raises(WeightsError, match="timed out"):
        ensure_weights(application)
    assert in_cache() == []


def test_endless_download_is_aborted(application, server):
    """The limit is twice the size of the weights."""
    server.pieces = (HEAD + b"\r\n", *[bytes(1 << 20)] * 4)
    with pytest.raises(WeightsError, match="expected at most 2,097,152 bytes, got more"):
        ensure_weights(application._replace(num_params=250_000))
    assert in_cache() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_full_disk_is_an_error_with_path_and_reason(application, server, monkeypatch, number):
    """The message has the path and the reason, and the temporary file is deleted."""
    original_open = open

    def full(path, mode="r", *rest, **options):
        file = original_open(path, mode, *rest, **options)
        if mode == "xb":
            return Full(file)
        return file

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, _):
            raise OSError(number, os.strerror(number))

        def tell(self):
            return 0

    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(WeightsError, match=os.strerror(number)) as caught:
        ensure_weights(application)
    assert (str(cache_directory()) in caught.value.message) == (number != errno.EIO)
    assert in_cache() == []


def test_read_only_cache_has_a_hint(application, server, monkeypatch, tmp_path):
    """The message has the path, and the hint GRADCAM_WEIGHTS."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot download .* to .*: Not a directory") as caught:
        ensure_weights(application)
    assert "$GRADCAM_WEIGHTS" in caught.value.hint
    assert server.requests == 0

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(WeightsError, match=r"cannot download .* to .*: Permission denied"):
        ensure_weights(application)


DOWNLOAD = f"""
import sys
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import ensure_weights
path = ensure_weights(catalog()["vgg19"]._replace(weights_file="tiny.h5", hash={hashlib.md5(CONTENT).hexdigest()!r}))
assert path.read_bytes() == bytes(range(256)) * 1000
"""


def test_concurrent_processes_download_once(server):
    """The others wait for the lock and use the file; the lock file is deleted."""
    server.pieces = (WHOLE[:1000], 1.0, WHOLE[1000:])
    processes = [subprocess.Popen([sys.executable, "-c", DOWNLOAD]) for _ in range(3)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert server.requests == 1
    assert in_cache() == ["tiny.h5"]


def test_killed_process_releases_the_lock(application, server):
    """Its partial file is ignored, and the next download succeeds."""
    server.pieces = (WHOLE[:1000], 30.0)
    process = subprocess.Popen([sys.executable, "-c", DOWNLOAD])
    while not server.requests or len(in_cache()) < 2:
        time.sleep(0.02)
    process.kill()
    process.wait()
    server.pieces = (WHOLE,)
    assert ensure_weights(application).read_bytes() == CONTENT
