"""Downloads that go wrong in every way: the cache holds a whole file or none, and the reason is told."""

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
from gradcam_cli.models import weights
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import cache_directory, ensure_weights

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
    """A server that answers with bytes, or with pieces and pauses between them, right or wrong."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            while self.rfile.readline().strip():
                pass
            answer.asked += 1
            try:
                for piece in answer.pieces:
                    time.sleep(piece) if isinstance(piece, float) else self.wfile.write(piece)
            except OSError:
                pass

    class Answer:
        asked, pieces = 0, (WHOLE,)

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
def test_no_bad_file_is_kept(application, server, answer):
    """Cut at any tenth, framed wrongly, of another hash, or no HTTP at all: nothing stays, and one line says why."""
    server.pieces = (answer,)
    with pytest.raises(WeightsError) as caught:
        ensure_weights(application)
    assert "\n" not in caught.value.message
    assert in_cache() == []
    server.pieces = (WHOLE,)
    assert ensure_weights(application).read_bytes() == CONTENT
    assert in_cache() == ["tiny.h5"]


def test_slow_download_aborted(application, server, monkeypatch):
    """A byte now and then is no silence, and still not a download."""
    monkeypatch.setattr(weights, "TIMEOUT", 0.3)
    server.pieces = (HEAD + b"Content-Length: 256000\r\n\r\n", *(b"x", 0.05) * 100)
    start = time.monotonic()
    with pytest.raises(WeightsError, match="too slow"):
        ensure_weights(application)
    assert time.monotonic() - start < 3
    assert in_cache() == []


def test_silence_in_the_middle(application, server, monkeypatch):
    monkeypatch.setattr(weights, "TIMEOUT", 0.3)
    server.pieces = (WHOLE[:9000], 2.0)
    with pytest.raises(WeightsError, match="timed out"):
        ensure_weights(application)
    assert in_cache() == []


def test_a_stream_without_end_does_not_fill_the_disk(application, server):
    """Twice the size that is known is enough."""
    server.pieces = (HEAD + b"\r\n", *[bytes(1 << 20)] * 4)
    with pytest.raises(WeightsError, match="expected at most 2,097,152 bytes, got more"):
        ensure_weights(application._replace(num_params=250_000))
    assert in_cache() == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk(application, server, monkeypatch, number):
    """The place and the reason are told, the part is gone."""
    whole_open = open

    def full(path, mode="r", *rest, **options):
        file = whole_open(path, mode, *rest, **options)
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


def test_a_home_that_cannot_be_written(application, server, monkeypatch, tmp_path):
    """The hint names the variable that needs no home."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot be fetched to .*: Not a directory") as caught:
        ensure_weights(application)
    assert "$GRADCAM_WEIGHTS" in caught.value.hint
    assert server.asked == 0

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", closed)
    with pytest.raises(WeightsError, match=r"cannot be fetched to .*: Permission denied"):
        ensure_weights(application)


FETCH = f"""
import sys
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import ensure_weights
path = ensure_weights(catalog()["vgg19"]._replace(weights_file="tiny.h5", hash={hashlib.md5(CONTENT).hexdigest()!r}))
assert path.read_bytes() == bytes(range(256)) * 1000
"""


def test_two_processes_fetch_once(server):
    """The second waits and takes what the first has fetched; no lock is left."""
    server.pieces = (WHOLE[:1000], 1.0, WHOLE[1000:])
    started = [subprocess.Popen([sys.executable, "-c", FETCH]) for _ in range(3)]
    assert [one.wait(timeout=60) for one in started] == [0, 0, 0]
    assert server.asked == 1
    assert in_cache() == ["tiny.h5"]


def test_one_that_is_killed_holds_up_nobody(application, server):
    """Its lock is gone with it, and what it left is not taken for the file."""
    server.pieces = (WHOLE[:1000], 30.0)
    started = subprocess.Popen([sys.executable, "-c", FETCH])
    while not server.asked or len(in_cache()) < 2:
        time.sleep(0.02)
    started.kill()
    started.wait()
    server.pieces = (WHOLE,)
    assert ensure_weights(application).read_bytes() == CONTENT
