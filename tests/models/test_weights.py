"""Search order, download and hash check of weights, with a local HTTP server."""

import hashlib
import http.server
import threading

import pytest

from gradcam_cli.errors import WeightsError
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.weights import cache_directory, ensure_weights, find_weights
from gradcam_cli.storage import download
from gradcam_cli.storage.checksum import LazySha256, sha256, start_sha256

CONTENT = b"weights" * 1000


@pytest.fixture
def application():
    return catalog()["vgg19"]._replace(weights_file="tiny.h5", hash=hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def server(monkeypatch):
    """A local server with the status, content and length that the test sets."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer.requests.append(self.path)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(answer.length or len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *args):
            pass

    class Answer:
        status, content, length = 200, CONTENT, None

    answer = Answer()
    answer.requests = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", f"http://127.0.0.1:{server.server_port}/mirror/")
    yield answer
    server.shutdown()
    server.server_close()


def cached_files():
    return sorted(path.name for path in cache_directory().glob("*")) if cache_directory().exists() else []


@pytest.fixture(autouse=True)
def _empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def test_weights_are_searched_in_order(application, tmp_path, monkeypatch):
    """--weights, then GRADCAM_WEIGHTS as a file or a folder, then Keras's cache."""
    assert find_weights(application) is None
    cached = cache_directory() / "tiny.h5"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"cached")
    assert find_weights(application) == cached
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("GRADCAM_WEIGHTS", str(folder))
    assert find_weights(application) == cached
    (folder / "tiny.h5").write_bytes(b"folder")
    assert find_weights(application) == folder / "tiny.h5"
    named = tmp_path / "named.h5"
    named.write_bytes(b"named")
    assert find_weights(application, str(named)) == named
    assert find_weights(application, "imagenet") == folder / "tiny.h5"


@pytest.mark.parametrize("origin", ["--weights", "GRADCAM_WEIGHTS"])
def test_missing_weight_file_names_its_origin(application, origin, monkeypatch):
    monkeypatch.setenv("GRADCAM_WEIGHTS", "none.h5")
    with pytest.raises(WeightsError, match=f"{origin} none.h5"):
        find_weights(application, "none.h5" if origin == "--weights" else None)


def test_download_is_announced_and_cached(application, server, caplog):
    """The log has size and path; the file is in Keras's cache and is downloaded only once."""
    path = ensure_weights(application)
    assert path == cache_directory() / "tiny.h5"
    assert path.read_bytes() == CONTENT
    assert cached_files() == ["tiny.h5"]
    (message,) = [record.getMessage() for record in caplog.records]
    assert "575 MB" in message
    assert str(path) in message
    ensure_weights(application)
    assert server.requests == ["/mirror/tiny.h5"]


def test_download_with_a_sha256_hash_is_accepted(application, server):
    ensure_weights(application._replace(hash=hashlib.sha256(CONTENT).hexdigest()))
    assert cached_files() == ["tiny.h5"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": b"other"}, "wrong hash"),
        ({"length": len(CONTENT) + 5}, "expected 7005 bytes, got 7000"),
        ({"status": 404}, "cannot download"),
    ],
)
def test_failed_download_leaves_no_file(application, server, change, words):
    for name, value in change.items():
        setattr(server, name, value)
    with pytest.raises(WeightsError, match=words):
        ensure_weights(application)
    assert cached_files() == []


def test_failed_connection_has_a_hint(application, monkeypatch):
    """The hint has the URL, the path in the cache, and the option for a local file."""
    monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="cannot download") as caught:
        ensure_weights(application)
    for word in ("http://127.0.0.1:9/tiny.h5", str(cache_directory() / "tiny.h5"), "--weights FILE"):
        assert word in caught.value.hint


def test_offline_sends_no_request(application, server):
    with pytest.raises(WeightsError, match="--offline"):
        ensure_weights(application, offline=True)
    assert server.requests == []


def test_silent_server_times_out(application, monkeypatch):
    import socket

    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    monkeypatch.setenv("GRADCAM_WEIGHTS_MIRROR", f"http://127.0.0.1:{silent.getsockname()[1]}")
    with silent, pytest.raises(WeightsError, match="timed out"):
        ensure_weights(application)
    assert cached_files() == []


def test_lazy_checksum_is_computed_once(tmp_path):
    """The file is read on first use, and not a second time."""
    path = tmp_path / "abc"
    path.write_bytes(b"before")
    checksum = LazySha256(path)
    path.write_bytes(b"abc")
    assert checksum.start() is checksum.start()
    assert checksum.result() == sha256(path)
    path.write_bytes(b"after")
    assert checksum.result() != sha256(path)


def test_a_checksum_that_was_started_belongs_to_the_file_as_it_was(tmp_path):
    """A file that is replaced before it is loaded is hashed again."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    start_sha256(path)
    assert LazySha256.of(path).result() == hashlib.sha256(b"one").hexdigest()
    start_sha256(path)
    (tmp_path / "new").write_bytes(b"two")
    (tmp_path / "new").replace(path)
    assert LazySha256.of(path).result() == hashlib.sha256(b"two").hexdigest()


def test_sha256_equals_the_published_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
