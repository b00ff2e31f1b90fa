"""URLs as outputs and report directories, on fsspec's memory file system."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from directory_tree import fill

from gradcam_cli.errors import InputError, OutputError, UsageError
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs
from gradcam_cli.pipeline.saved import find_saved_maps
from gradcam_cli.reporting import run_log
from gradcam_cli.reporting.build import check_not_foreign_page
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.run_log import RunLog, load_run_log
from gradcam_cli.reporting.writer import ReportWriter
from gradcam_cli.storage import files
from gradcam_cli.storage.paths import as_path

pytest.importorskip("fsspec", reason="URLs need fsspec")
pytest.importorskip("upath", reason="URLs need universal-pathlib")

pytestmark = pytest.mark.usefixtures("recorded_delays")

ONE = [("auto", "gradcam", "top1")]


def planned(sources, output, **more):
    plan = plan_outputs(sources, parse_destination(output, ()), ONE, **more)
    return [[str(out.path) for out in outs] for _, outs in plan]


def test_output_urls_of_files_and_trees():
    """A flat directory, a mirrored tree, and a single file."""
    assert planned([Source("x/cat.jpg")], "s3://b/maps") == [["s3://b/maps/cat_gradcam.png"]]
    assert planned([Source("p/a/cat.jpg", Path("a/cat.jpg"))], "s3://b") == [["s3://b/a/cat_gradcam.png"]]
    assert planned([Source("p/cat.jpg", Path("cat.jpg"))], "s3://b/maps") == [["s3://b/maps/cat_gradcam.png"]]
    assert planned([Source("https://h/cat.jpg?x=y/z")], "maps") == [["maps/cat_gradcam.png"]]
    assert planned([Source("cat.jpg")], "s3://b/map.png") == [["s3://b/map.png"]]
    with pytest.raises(UsageError, match="web address"):
        parse_destination("https://host/maps", ())


def test_output_names_at_urls_equal_local_names():
    """Output names are unique, and the same for a store and a disk."""
    sources = [Source(name) for name in ("cat.jpg", "s3://b/cat.png", "CAT.jpg", "cat.jpg")]
    store, disk = (planned(sources, output) for output in ("s3://b/maps", "maps"))
    assert [paths[0].removeprefix("s3://b/") for paths in store] == [paths[0] for paths in disk]
    assert len({paths[0].lower() for paths in store}) == 4


def test_inputs_at_urls_are_never_overwritten():
    given = ["s3://b/cat.jpg", "s3://b/cat_gradcam.png"]
    assert planned([Source(given[0])], "s3://b", inputs=given) == [["s3://b/cat.jpg_gradcam.png"]]
    with pytest.raises(UsageError, match="overwritten"):
        planned([Source("s3://b/x.png")], "s3://b/x.png", inputs=["s3://b/x.png"])


def lines_of(directory):
    return [record["class_index"] for record in load_run_log(as_path(directory)) or ()]


def log_lines(lines, *numbers):
    for number in numbers:
        lines.write(json.dumps({"status": "ok", "input": "a", "class_index": number}).encode())


def test_run_log_is_written_in_parts(memory_store, monkeypatch):
    """A part is written when enough lines are pending; a resumed run adds parts, a new run replaces them."""
    monkeypatch.setattr(run_log, "MAX_PENDING_LINES", 2)
    opened = partial(RunLog, as_path("memory://b/maps"))
    lines = opened()
    log_lines(lines, 1, 2, 3)
    assert lines_of("memory://b/maps") == [1, 2]
    lines.close()
    assert [name.rpartition("/")[2] for name in memory_store.ls("/b/maps/report", detail=False)] == [
        "run-00000.jsonl",
        "run-00001.jsonl",
    ]
    lines = opened(resume=True)
    log_lines(lines, 4)
    lines.close()
    assert lines_of("memory://b/maps") == [1, 2, 3, 4]
    log_lines(opened(), 5, 6)
    assert lines_of("memory://b/maps") == [5, 6]


def test_pending_lines_are_written_after_a_time(memory_store, monkeypatch):
    monkeypatch.setattr(run_log, "MAX_PENDING_SECONDS", 0.0)
    log_lines(RunLog(as_path("memory://b/maps")), 1)
    assert lines_of("memory://b/maps") == [1]


def test_downloaded_report_is_read_and_resumed(memory_store, tmp_path):
    log_lines(lines := RunLog(as_path("memory://b/maps")), 1)
    lines.close()
    memory_store.get("/b/maps/report", str(tmp_path / "report"), recursive=True)
    assert lines_of(str(tmp_path)) == [1]
    log_lines(RunLog(tmp_path, resume=True), 2)
    assert lines_of(str(tmp_path)) == [1, 2]
    log_lines(RunLog(tmp_path), 3)
    assert lines_of(str(tmp_path)) == [3]


def test_report_replaces_no_foreign_page_at_a_url(memory_store):
    directory = as_path("memory://b/maps")
    with ReportWriter(directory, {"command": "explain", "inputs": 1}, ReportImages(directory)) as recorder:
        recorder.write({"status": "failed", "input": "a.jpg", "error": "broken"})
    assert b"a.jpg" in memory_store.cat_file("/b/maps/index.html")
    check_not_foreign_page(directory)
    memory_store.pipe_file("/b/maps/index.html", b"<h1>my own page</h1>")
    with pytest.raises(OutputError, match="no report"):
        check_not_foreign_page(directory)


def test_missing_run_log_is_none(memory_store, tmp_path):
    assert load_run_log(as_path("memory://b/none")) is None
    assert load_run_log(tmp_path) is None


def test_saved_maps_are_found_at_urls(memory_store):
    fill(memory_store, "b/maps/x_gradcam.npz", "b/maps/sub/y_gradcam.npz", "b/maps/x.png")
    found = find_saved_maps(as_path("memory://b/maps"))
    assert {name: str(path) for name, path in found.items()} == {
        name: f"memory://b/maps/{name}" for name in ("sub/y_gradcam.npz", "x_gradcam.npz")
    }
    with pytest.raises(InputError, match=r"no \.npz files found"):
        find_saved_maps(as_path("memory://b/none"))


def test_commands_give_equal_results_in_store_and_on_disk(memory_store, cli, photo, model_file):
    """explain, report and compare give the same results at URLs as on a disk."""
    memory_store.pipe_file("/b/in/a.png", photo("a.png").read_bytes())
    options = ("--model", model_file, "--save", "npz")
    done = cli("memory://b/in", "-o", "memory://b/maps", *options, "--report", "--json")
    assert (done.status, json.loads(done.lines[0])["outputs"]) == (0, {"npz": "memory://b/maps/a_gradcam.npz"})
    page = memory_store.cat_file("/b/maps/index.html")
    memory_store.rm_file("/b/maps/index.html")
    done = cli("report", "memory://b/maps")
    assert (done.status, done.stdout) == (0, "memory://b/maps/index.html\n")
    assert memory_store.cat_file("/b/maps/index.html") == page
    assert cli(photo("a.png"), "-o", "maps", *options).status == 0
    stored = np.load(files.open_readable(as_path("memory://b/maps/a_gradcam.npz")))["heatmap"]
    np.testing.assert_array_equal(stored, np.load("maps/a_gradcam.npz")["heatmap"])
    assert cli("compare", "memory://b/maps", "maps", "--grid", "memory://b/moved.png").status == 0
    assert memory_store.cat_file("/b/moved.png").startswith(b"\x89PNG")
    memory_store.rm("/b/maps/report", recursive=True)
    done = cli("report", "memory://b/maps")
    assert (done.status, done.stderr) == (0, "")
    assert not os.path.exists("memory:")
