"""Images and weights from a web server: limits of bytes, time and redirects; one bad address fails alone."""

import contextlib
import io
import socketserver
import threading
import time

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError, WeightsError
from gradcam_cli.images.discover import find_sources
from gradcam_cli.images.load import Failure, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import HDF5_SIGNATURE, cache_directory, ensure_weights
from gradcam_cli.storage import download, remote

OK = b"HTTP/1.1 200 OK\r\n"


def png():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def whole(body):
    return OK + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def moved(location):
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


@contextlib.contextmanager
def serve(pages):
    """Serve {path: pieces}: bytes, or pauses in seconds; yield the address and the list of requests."""
    requests = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            path = self.rfile.readline().split()[1].decode()
            requests.append((path, b"".join(iter(lambda: self.rfile.readline().strip(), b""))))
            with contextlib.suppress(OSError):
                for piece in pages.get(path, [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]):
                    time.sleep(piece) if isinstance(piece, float) else self.wfile.write(piece)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
        server.shutdown()


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch, tmp_path):
    monkeypatch.setattr(remote, "RETRY_DELAYS", (0.0, 0.0))
    monkeypatch.setattr(download, "TIMEOUT", 0.3)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def test_image_equals_the_served_file():
    """Spaces, umlauts, a query and a user name in the address are accepted."""
    with serve({"/a%20b/%C3%BC.png?x=1%202": [whole(png())]}) as (address, requests):
        image = load_image(Source(address.replace("//", "//me:secret@") + "/a b/ü.png?x=1 2"))
    assert image.pixels.tolist() == np.arange(300, dtype=np.uint8).reshape(10, 10, 3).tolist()
    assert b"Authorization: Basic bWU6c2VjcmV0" in requests[0][1]


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([OK, *[b"X: y\r\n", 0.05] * 40], "timed out"),  # a header that never ends
        ([OK + b"Content-Length: 99999\r\n\r\n", *[b"x", 0.05] * 40], "too slow"),
        ([OK, 2.0], "timed out"),
        ([OK + b"Content-Length: 1048577\r\n\r\n"], "at most 1,048,576 bytes, got 1,048,577"),
        ([OK + b"\r\n", bytes(1 << 20), b"x"], "at most 1,048,576 bytes, got more"),
        ([whole(png())[:-9]], "incomplete|more expected"),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"], "IncompleteRead"),
        ([b"HTTP/1.1 403 Forbidden\r\n\r\n"], "403"),
        ([moved("http://127.0.0.2:9/x.png")], "redirected to another host, 127.0.0.2:9"),
        ([moved("file:///etc/passwd")], "not allowed|expected an address"),
        ([moved("/x.png")], "redirect"),
    ],
)
def test_bad_answers_fail_in_bounded_time(pieces, words):
    """A slow header, a slow or endless body, a false length, and redirects are errors of one line."""
    start = time.monotonic()
    with serve({"/x.png": pieces}) as (address, _), pytest.raises(InputError, match=f"cannot be read: .*({words})"):
        Source(f"{address}/x.png").read(1 << 20)
    assert time.monotonic() - start < 6  # three attempts


def test_redirect_to_a_named_host_is_followed():
    """The host of any input of the command line; another host is refused before it gets a request."""
    with (
        serve({"/x.png": [whole(png())]}) as (target, requests),
        serve({"/y.png": [moved(target + "/x.png")]}) as (a, _),
    ):
        (alone,) = find_sources([f"{a}/y.png"])
        assert "another host" in load_image(alone).error
        assert requests == []
        named, _ = find_sources([f"{a}/y.png", f"{target}/other.png"])
        assert load_image(named).shape == (10, 10)


def test_redirect_from_https_to_http_is_refused():
    redirects = download._Redirects(["h"], time.monotonic() + 9)
    with pytest.raises(download.DownloadError, match="from HTTPS to HTTP"):
        redirects.redirect_request(download._request("https://h/x"), None, 302, "", {}, "http://h/x")
    assert redirects.redirect_request(download._request("http://h/x"), None, 302, "", {}, "https://h/y").host == "h"


@pytest.mark.parametrize("url", ["http://h:port/x.png", "http://[::1/x.png", "https:///x.png"])
def test_invalid_address_is_one_failure(url):
    (source,) = find_sources([url])
    assert isinstance(load_image(source), Failure)


def test_failing_address_costs_only_itself(cli, photo, model_file):
    """One error line for each failing address; the other inputs are explained."""
    slow = [OK, *[b"X: y\r\n", 0.05] * 20]
    with serve({"/good.png": [whole(png())], "/slow.png": slow}) as (address, _):
        names = [f"{address}/{name}.png" for name in ("slow", "good", "missing")]
        done = cli(photo(), *names, "--model", model_file, "--preprocess", "none", "--save", "npy")
    assert (done.status, len(done.lines)) == (1, 2)
    assert done.stderr.count("error: ") == 2
    assert "slow.png: cannot be read: timed out" in done.stderr
    assert "missing.png: cannot be read: No such file" in done.stderr


# weights without a published hash

MODELS_WITHOUT_HASH = ("mobilenet", "mobilenetv2")
BODY = HDF5_SIGNATURE + bytes(4000)


def test_models_without_hash_are_known():
    assert tuple(name for name, spec in catalog().items() if not spec.hash and not spec.built_in) == MODELS_WITHOUT_HASH


@pytest.fixture
def unhashed(monkeypatch):
    spec = catalog()["mobilenet"]._replace(weights_file="w.h5", num_params=1000, bytes_per_weight=4)
    return spec._replace(num_params=len(BODY) // 4)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (whole(BODY[:-9]), "incomplete download"),
        (whole(b"<html>" + bytes(5000)), "expected an HDF5 file"),
        (OK + b"\r\n" + BODY, "declared no length"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nfa8\r\n" + BODY[:-1], "cannot download"),
    ],
)
def test_short_weights_without_hash_never_enter_the_cache(unhashed, monkeypatch, answer, words):
    with serve({"/w.h5": [answer]}) as (address, _):
        monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", address)
        monkeypatch.setattr(type(unhashed), "megabytes", 1)
        with pytest.raises(WeightsError, match=words):
            ensure_weights(unhashed)
    assert list(cache_directory().glob("*")) == []


def test_weights_without_hash_are_announced(unhashed, monkeypatch, caplog):
    with serve({"/w.h5": [whole(BODY)]}) as (address, _):
        monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", address)
        monkeypatch.setattr(type(unhashed), "megabytes", 1)
        assert ensure_weights(unhashed).read_bytes() == BODY
    assert "no hash of w.h5, so its content was not checked" in caplog.text


def test_object_larger_than_the_limit_is_not_read(monkeypatch):
    """The size is looked up first."""
    memory = pytest.importorskip("fsspec").filesystem("memory")
    pytest.importorskip("upath")
    memory.pipe_file("/b/x.png", bytes(2000))
    monkeypatch.setattr(type(memory), "cat_file", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(InputError, match="expected at most 1,000 bytes, got 2,000"):
        Source("memory://b/x.png").read(1000)
