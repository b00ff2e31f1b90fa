"""What a results directory from elsewhere may do in `report` and `compare`: no request, no file outside of it.

Each test changes the results of a real run, as their author could.
"""

import hashlib
import json
import os
import shutil
import threading
import time
import tracemalloc
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

import numpy as np
import pytest
from PIL import Image
from report_documents import document_in

from gradcam_cli.errors import InputError
from gradcam_cli.pipeline.recorded_image import read_recorded_image
from gradcam_cli.reporting.build import build_report
from gradcam_cli.reporting.entries import build_entries


@pytest.fixture
def run(cli, photo, model_file, tmp_path):
    """Maps of two images with their JSON lines, and functions that change them."""
    for number in range(2):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    words = ("--model", model_file, "--preprocess", "-1..1", "--save", "npz", "-o", "maps", "--json")
    (cli.here / "lines.jsonl").write_text(cli(tmp_path / "in", *words).stdout)
    shutil.copytree("maps", "others")
    cli.model_file = model_file
    cli.npz = cli.here / "maps/0_gradcam.npz"

    def change_metadata(**changes):
        with np.load(cli.npz) as arrays:
            metadata = json.loads(str(arrays["metadata"]))
            changed = {**arrays, "metadata": np.array(json.dumps({**metadata, **changes}))}
        np.savez(cli.npz, **changed)
        return metadata

    def change_lines(**changes):
        first, *rest = map(json.loads, (cli.here / "lines.jsonl").read_text().splitlines())
        (cli.here / "lines.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in ({**first, **changes}, *rest))
        )

    def entries():
        return document_in(cli.here / "maps/index.html")["entries"]

    cli.change_metadata, cli.change_lines, cli.entries = change_metadata, change_lines, entries
    return cli


@contextmanager
def counting_server():
    """A server on loopback that counts connections."""
    connections = []

    class Handler(BaseRequestHandler):
        def handle(self):
            connections.append(self.client_address)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/0.png", connections
        server.shutdown()


def test_no_recorded_url_is_fetched(run):
    """As input, output or image, by `report`, by `compare` of two directories and with a model."""
    with counting_server() as (url, connections):
        run.change_metadata(input=url)
        run.change_lines(input=url, outputs={"npz": url, "figure": url, "x": "s3://bucket/x"})
        assert run("report", "maps").status == 0
        assert run("report", "maps", "--from-jsonl", "lines.jsonl").status == 0
        assert run("compare", "maps", "others", "--report", "--grid", "grid.png").status == 0
        result = run("compare", "maps", run.model_file, "--preprocess", "-1..1")
        assert (result.status, connections) == (1, [])
    assert f"error: {url}: a URL in results of an earlier run is not opened" in result.stderr


def test_images_outside_are_shown_only_with_their_hash(run, tmp_path):
    """A record that names another image of the user shows the map alone."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (30, 24), "red").save(secret)
    metadata = run.change_metadata(input=str(secret))
    assert run("report", "maps").status == 0
    assert next(entry["image"] for entry in run.entries()) is None
    run.change_metadata(input=metadata["input"])
    assert run("report", "maps").status == 0
    assert all(entry["image"] for entry in run.entries())
    run.change_metadata(input=str(secret), sha256=None)
    assert run("report", "maps").status == 0
    assert next(entry["image"] for entry in run.entries()) is None


@pytest.mark.parametrize("name", ["/etc/passwd", "secret", "pipe.png", "-", "", "a\0.png", "/dev/zero", "folder.png"])
def test_only_unchanged_image_files_are_opened(tmp_path, monkeypatch, name):
    """A file without an image suffix is not even opened, though the hash is right."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "secret").write_bytes(b"abc")
    with pytest.raises(InputError):
        read_recorded_image(name, hashlib.sha256(b"abc").hexdigest())


@pytest.mark.parametrize("target", ["../../secret.npz", "/dev/zero"])
def test_links_out_of_the_directory_are_not_followed(run, tmp_path, target):
    """Not as saved maps, not as the run log; the other maps are in the report."""
    shutil.copy("maps/1_gradcam.npz", tmp_path / "secret.npz")
    run.npz.unlink()
    run.npz.symlink_to(target)
    result = run("report", "maps")
    assert "outside the directory" in result.stderr
    assert len(run.entries()) == 1
    (run.here / "maps/report").mkdir(exist_ok=True)
    (run.here / "maps/report/run.jsonl").symlink_to(run.here / "lines.jsonl")
    result = run("report", "maps")
    assert result.status == 3
    assert "link out of the directory" in result.stderr


def test_outputs_outside_are_neither_read_nor_linked(run, tmp_path):
    shutil.copy(run.npz, tmp_path / "outside.npz")
    for path in (tmp_path / "outside.npz", "../outside.npz", "maps/../../outside.npz"):
        run.change_lines(outputs={"npz": str(path)})
        run("report", "maps", "--from-jsonl", "lines.jsonl")
        (map_,) = run.entries()[0]["maps"]
        assert (map_["files"], map_["map_image"]) == ({}, None)


@pytest.mark.parametrize(
    "path",
    ["//host/a.png", "/etc/passwd", "../../a.png", "a/../../b", "https://host/a.png", "s3://b/a", "///x", "/\\x"],
)
def test_links_of_the_page_stay_in_its_directory(path):
    images = {"image": path, "thumbnail": path, "map_image": path, "figure": path, "files": {"npz": path}}
    (entry,) = build_entries([{"status": "ok", "input": "a", "report": images}], {})
    (map_,) = entry["maps"]
    assert [entry["image"], entry["thumbnail"], map_["map_image"], map_["figure"]] == [None] * 4
    assert map_["files"] == {}


@pytest.mark.parametrize("path", ["javascript:alert(1)", "data:text/html,x", "C:\\x", "\\\\host\\x"])
def test_schemes_in_links_are_quoted(path):
    """The browser takes the name as that of a file."""
    (entry,) = build_entries([{"status": "ok", "input": "a", "report": {"image": path}}], {})
    assert not {":", "\\"} & set(entry["image"])


def test_texts_of_the_page_have_no_control_characters():
    text = "\x1b[31m\u202e\u2066"
    record = {"status": "ok", "input": text, "method": text, "layer": text, "class_name": text}
    (entry,) = build_entries([{**record, "report": {"map": {"zero_reason": text}, "files": {text: "a"}}}], {})
    assert not set(text) & set(json.dumps(entry, ensure_ascii=False)) - set("[31m")


def test_pipes_in_the_directory_do_not_block(run):
    """As a saved map, as the run log, and as the page."""
    os.mkfifo("maps/2_gradcam.npz")
    result = run("report", "maps")
    assert result.status == 1
    assert "note: cannot read maps/2_gradcam.npz: expected a regular file, got a pipe" in result.stderr
    os.mkfifo("others/2_gradcam.npz")
    assert run("compare", "maps", "others").status == 1
    os.mkfifo("maps/report/run.jsonl")
    assert run("report", "maps").status == 3
    os.remove("maps/report/run.jsonl")
    os.remove("maps/index.html")
    os.mkfifo("maps/index.html")
    result = run("report", "maps")
    assert (result.status, "got a pipe" in result.stderr) == (3, True)


@pytest.mark.parametrize("source", ["pipe", "/dev/zero", "maps"])
def test_json_lines_come_from_regular_files(run, source):
    os.mkfifo("pipe")
    result = run("report", "maps", "--from-jsonl", source)
    assert result.status in (2, 3)
    assert "error: " in result.stderr


def test_long_lines_and_many_records_use_little_memory(tmp_path, caplog, monkeypatch):
    """A line of 40 MB is skipped; results beyond the limit of the page are counted, and the page says so."""
    monkeypatch.setattr("gradcam_cli.reporting.run_records.MAX_REPORT_LENGTH", 10_000)
    log = tmp_path / "report/run.jsonl"
    log.parent.mkdir()
    with open(log, "w") as file:
        file.write('{"status": "ok", "input": "' + "x" * 40_000_000 + '"}\n')
        for number in range(500):
            file.write(json.dumps({"status": "ok", "input": f"{number // 2}.png"}) + "\n")
    tracemalloc.start()
    try:
        page = build_report(tmp_path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert page.num_invalid == 1
    assert peak < 40_000_000
    assert "line 1: expected at most" in caplog.text
    document = document_in(page.path)
    assert document["counts"]["ok"] == 250
    assert 50 < len(document["entries"]) < 250
    assert "of 250 inputs" in document["notice"]
    assert "1 invalid results" in document["notice"]


def test_invalid_lines_give_status_1_and_a_notice(run):
    """Also with --quiet, which prints no notes."""
    run.change_lines(class_index="three")
    for option in ([], ["-q"]):
        result = run("report", "maps", "--from-jsonl", "lines.jsonl", *option)
        assert result.status == 1
        assert ("line 1: expected a whole number" in result.stderr) == (not option)
        assert "error: the report lacks damaged results: 1" in result.stderr
    assert len(run.entries()) == 1
    assert "1 invalid results were skipped" in document_in(run.here / "maps/index.html")["notice"]


def test_labels_of_plots_are_no_mathematics(tmp_path):
    """Dollar signs in names of layers would be parsed, and errors in them raised."""
    lines = [{"status": "ok", "input": "a", "layer": "$\\frac{", "method": "m" * 900, "baseline": False, "curves": {}}]
    step = {"last_randomized_layer": "$x^$", "all_downstream_randomized": True, "layer": "$_$", "method": "m"}
    lines = [{**line, "metrics": {"road": 0.5}} for line in lines]
    lines += [{"status": "sanity", **step, "rank": 0.5, "ssim": 0.5}]
    (tmp_path / "report").mkdir()
    (tmp_path / "report/run.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    start = time.monotonic()
    assert len(document_in(build_report(tmp_path).path)["plots"]) == 2
    assert time.monotonic() - start < 20
