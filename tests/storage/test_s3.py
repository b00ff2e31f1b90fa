"""Images from an S3 bucket and maps into it, on a local moto server."""

import http.client
import http.server
import io
import json
import os
import threading

import numpy as np
import pytest

from gradcam_cli.storage import remote

moto = pytest.importorskip("moto.server", reason="these tests need moto[server]")
s3fs = pytest.importorskip("s3fs", reason="s3:// needs s3fs")
pytest.importorskip("upath", reason="URLs need universal-pathlib")


@pytest.fixture(scope="module")
def server():
    """A local S3 server on a free port."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def forget():
    s3fs.S3FileSystem.clear_instance_cache()
    remote._file_system.cache_clear()


@pytest.fixture
def bucket(server, monkeypatch):
    """An empty bucket, as an s3fs file system."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(remote, "RETRY_DELAYS", (0.0, 0.0))
    forget()
    system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    if system.exists("bucket"):
        system.rm("bucket", recursive=True)
    system.mkdir("bucket")
    yield system
    forget()


@pytest.fixture
def explain(bucket, cli, photo, model_file):
    """Explain five images of a bucket with the small model."""
    for number in range(5):
        path = photo(f"in/{number}.png", seed=number)
        bucket.pipe_file(f"bucket/photos/{number // 3}/{number}.png", path.read_bytes())
        local = cli.here / f"photos/{number // 3}/{number}.png"
        local.parent.mkdir(parents=True, exist_ok=True)
        local.write_bytes(path.read_bytes())

    def explain(*options, photos="s3://bucket/photos", to="s3://bucket/maps"):
        fixed = ("--model", model_file, "--preprocess", "0..1", "--batch-size", "2", "--json")
        return cli(photos, "-o", to, *fixed, *options)

    explain.here = cli.here
    return explain


def records(done):
    return [json.loads(line) for line in done.lines]


def arrays_of(data):
    """Return the bytes of all arrays of a file, and its metadata with the input's name relative to `photos`."""
    with np.load(io.BytesIO(data)) as arrays:
        record = json.loads(str(arrays["metadata"]))
        record["input"] = record["input"].removeprefix("s3://bucket/")
        return {name: arrays[name].tobytes() for name in arrays if name != "metadata"}, record


def test_files_in_the_bucket_equal_local_files(explain, bucket):
    """The files in the bucket equal those of a local run, except for the input's name."""
    save = ("--save", "npz", "--save", "figure")
    done = explain(*save)
    assert (done.status, len(done.lines)) == (0, 5)
    first = records(done)[0]
    assert first["input"] == "s3://bucket/photos/0/0.png"
    assert first["outputs"]["npz"] == "s3://bucket/maps/0/0_gradcam.npz"
    names = {name.removeprefix("bucket/") for name in bucket.find("bucket/maps")}
    assert names == {f"maps/{n // 3}/{n}_gradcam.{suffix}" for n in range(5) for suffix in ("npz", "png")}
    assert explain(*save, photos="photos", to="maps").status == 0
    for name in names:
        data, local = bucket.cat_file(f"bucket/{name}"), (explain.here / name).read_bytes()
        assert arrays_of(data) == arrays_of(local) if name.endswith(".npz") else data == local


def test_skip_existing_finds_files_in_the_bucket(explain):
    assert explain().status == 0
    rerun = explain("--skip-existing")
    assert (rerun.status, {record["status"] for record in records(rerun)}) == (0, {"skipped"})


def test_report_is_written_to_a_bucket(explain, bucket):
    """The page, its images and one part of the run log are written; a resumed run adds a part."""
    assert explain("--report").status == 0
    page = bucket.cat_file("bucket/maps/index.html").decode()
    assert page.count("0_gradcam.png") >= 1
    names = {name.rpartition("/")[2] for name in bucket.find("bucket/maps/report")}
    assert "run-00000.jsonl" in names
    assert sum(name.endswith("_map.png") for name in names) == 5
    assert explain("--report", "--skip-existing").status == 0
    assert bucket.exists("bucket/maps/report/run-00001.jsonl")


def failing(monkeypatch, key, times):
    """Make the first requests for a key fail; return the list of all requests for it."""
    original, requests = s3fs.S3FileSystem._cat_file, []

    async def cat_file(self, path, *arguments, **options):
        if path.endswith(key):
            requests.append(path)
            if len(requests) <= times:
                raise ConnectionError("connection reset")
        return await original(self, path, *arguments, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_cat_file", cat_file)
    return requests


def test_failed_read_is_retried(explain, monkeypatch):
    requests = failing(monkeypatch, "photos/0/1.png", 1)
    done = explain()
    assert (done.status, len(requests)) == (0, 2)
    assert {record["status"] for record in records(done)} == {"ok"}


def test_permanent_read_error_fails_one_input(explain, bucket, monkeypatch):
    requests = failing(monkeypatch, "photos/0/1.png", 99)
    done = explain()
    assert (done.status, len(requests)) == (1, 3)
    assert [record["status"] for record in records(done)] == ["ok", "failed", "ok", "ok", "ok"]
    assert records(done)[1]["error"] == "cannot be read: connection reset"
    assert "error: s3://bucket/photos/0/1.png: cannot be read: connection reset" in done.stderr
    assert len(bucket.find("bucket/maps")) == 4


def test_missing_key_or_bucket_is_an_error(explain, cli, model_file):
    """A missing key, folder or bucket is an error, and no bucket is created."""
    done = explain(photos="s3://bucket/none.png")
    assert (done.status, records(done)[0]["error"]) == (3, "cannot be read: No such file or directory")
    assert explain(photos="s3://bucket/none").status == 3
    assert explain(photos="s3://nobody/none").status == 3
    done = explain(to="s3://nobody/maps")
    assert done.status == 3
    assert "s3://nobody/maps/0/0_gradcam.png cannot be written" in records(done)[0]["error"]


class DroppingProxy(http.server.BaseHTTPRequestHandler):
    """A proxy that closes the connection on the first `left` reads of one key."""

    protocol_version = "HTTP/1.1"
    store, key, left = "", "", 0

    def forward(self):
        if self.command == "GET" and self.key in self.path and type(self).left:
            type(self).left -= 1
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection(self.store)
        connection.request(self.command, self.path, body, dict(self.headers))
        response = connection.getresponse()
        data = response.read()
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

    def log_message(self, *arguments):
        pass


@pytest.fixture
def dropping_proxy(server, monkeypatch):
    """Put a proxy before the server that drops three requests for one image."""
    monkeypatch.setattr(DroppingProxy, "store", server.removeprefix("http://"))
    monkeypatch.setattr(DroppingProxy, "key", "photos/0/1.png")
    monkeypatch.setattr(DroppingProxy, "left", 3)
    front = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DroppingProxy)
    threading.Thread(target=front.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{front.server_port}")
    forget()
    yield DroppingProxy
    front.shutdown()
    front.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.extended)])
def test_lost_requests_lose_no_result(explain, bucket, dropping_proxy, engine):
    """With dropped requests, each image has one line and a file equal to that of a run without."""
    if engine == "ray":
        pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")
    assert explain("--save", "npz", photos="photos", to="maps").status == 0
    done = explain("--save", "npz", "--engine", engine)
    assert (done.status, dropping_proxy.left) == (0, 0)
    assert [record["status"] for record in records(done)] == ["ok"] * 5
    for n in range(5):
        name = f"maps/{n // 3}/{n}_gradcam.npz"
        assert arrays_of(bucket.cat_file(f"bucket/{name}")) == arrays_of((explain.here / name).read_bytes())
