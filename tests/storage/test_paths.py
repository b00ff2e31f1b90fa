"""URLs as inputs, outputs and report directories, on fsspec's memory file system."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gradcam_cli.errors import InputError, OutputError, UsageError
from gradcam_cli.images.discover import find_sources, read_list
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs
from gradcam_cli.pipeline.saved import find_saved_maps
from gradcam_cli.report import run_log
from gradcam_cli.report.build import check_not_foreign_page
from gradcam_cli.report.image_store import ReportImages
from gradcam_cli.report.run_log import RunLog, load_run_log
from gradcam_cli.report.writer import ReportWriter
from gradcam_cli.storage import files, paths, remote
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import as_path, basename, is_url, relative_to

fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")
pytest.importorskip("upath", reason="URLs need universal-pathlib")
ONE = [("auto", "gradcam", "top1")]


@pytest.fixture(autouse=True)
def recorded_delays(monkeypatch):
    """Record the delays of retries instead of sleeping."""
    delays = []
    monkeypatch.setattr(remote.time, "sleep", delays.append)
    return delays


@pytest.fixture
def memory_store():
    """An empty memory file system."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def fill(memory_store, *names):
    for name in names:
        memory_store.pipe_file(f"/{name}", b"x")


# names


@pytest.mark.parametrize(
    ("name", "expected"),
    [("s3://b/x", True), ("https://h/x", True), ("C:\\x", False), ("c://x", False), ("a/b", False), ("s3:/b", False)],
)
def test_is_url(name, expected):
    """A single letter before the colon is a Windows drive, not a protocol."""
    assert is_url(name) is expected


def test_basename():
    """The query of a web address is removed, also if it contains slashes; in a store `?` is part of the name."""
    assert basename("https://h/a/my%20cat.jpg?key=x/y.z") == "my cat.jpg"
    assert basename("s3://b/a/what?.jpg") == "what?.jpg"
    assert basename("s3://b/photos/") == "photos"
    assert basename("a/what?.jpg") == "what?.jpg"


def test_url_path_keeps_its_url():
    path = as_path("s3://b/maps/") / "a#b.png"
    assert (str(path), path.name, str(as_path(path))) == ("s3://b/maps/a#b.png", "a#b.png", "s3://b/maps/a#b.png")
    assert as_path("a/b") == Path("a/b")


@pytest.mark.parametrize(
    ("path", "directory", "expected"),
    [
        ("s3://b/maps/a/x.png", "s3://b/maps", "a/x.png"),
        ("s3://b/x.png", "s3://b/maps", "../x.png"),
        ("s3://other/maps/x.png", "s3://b/maps", "s3://other/maps/x.png"),
        ("s3://b/x.png", "maps", "s3://b/x.png"),
        ("maps/a/x.png", "maps", "a/x.png"),
    ],
)
def test_relative_paths_in_a_report(path, directory, expected):
    assert relative_to(path, as_path(directory)) == expected


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("nonsense://x/y", "expected a protocol such as s3", None),
        ("file:///x", "not supported", "give the path without file://"),
    ],
)
def test_unsupported_protocols(url, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        as_path(url)
    assert caught.value.hint == hint


@pytest.mark.parametrize(("protocol", "extra"), [("s3", "s3"), ("gs", "gs"), ("abfs", "az"), ("https", "http")])
def test_hint_names_the_extra_to_install(protocol, extra, monkeypatch):
    def missing(name):
        raise ImportError("Install this")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    paths.require_protocol.cache_clear()
    with pytest.raises(UsageError, match=f"{protocol}://.*Install this") as caught:
        list(find_sources([f"{protocol}://b/x.jpg"]))
    assert caught.value.hint == f"pip install 'gradcam-cli[{extra}]'"


def test_upath_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    paths.require_protocol.cache_clear()
    with pytest.raises(UsageError, match="memory:// requires the package upath") as caught:
        as_path("memory://x")
    assert caught.value.hint == "pip install 'gradcam-cli[url]'"


# inputs


def test_url_and_local_directories_give_equal_sources(memory_store, tmp_path):
    """Equal file names give equal sources in equal order."""
    names = "b10.jpg b2.JPG notes.txt .hidden.png .git/x.png sub/c.webp sub10/a.png sub2/a.png x_gradcam.png out/x.png"
    for name in names.split():
        fill(memory_store, f"b/in/{name}")
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = list(find_sources(["memory://b/in"], skip=as_path("memory://b/in/out")))
    local = list(find_sources([str(tmp_path / "in")], skip=tmp_path / "in/out"))
    assert [source.relative_path for source in found] == [source.relative_path for source in local]
    assert [str(source.relative_path) for source in found] == [
        "b2.JPG",
        "b10.jpg",
        "sub/c.webp",
        "sub2/a.png",
        "sub10/a.png",
    ]
    assert found[2].name == "memory://b/in/sub/c.webp"
    assert list(find_sources(["memory://b/in/"], skip=as_path("memory://b/in/out"))) == found


def test_folders_are_listed_lazily(memory_store, monkeypatch):
    fill(memory_store, "b/1.png", "b/sub/2.png")
    listed = []
    original = type(memory_store).ls
    monkeypatch.setattr(
        type(memory_store), "ls", lambda self, path, **how: listed.append(path) or original(self, path, **how)
    )
    sources = find_sources(["memory://b"])
    next(sources)
    assert listed == ["/b"]
    list(sources)
    assert listed == ["/b", "/b/sub"]


def test_several_directories_get_separate_folders(memory_store, tmp_path):
    fill(memory_store, "b/one/x.png", "b/two/x.png")
    (tmp_path / "three").mkdir()
    (tmp_path / "three/x.png").touch()
    found = find_sources(["memory://b/one", "memory://b/two", str(tmp_path / "three")])
    assert [str(source.relative_path) for source in found] == ["one/x.png", "two/x.png", "three/x.png"]


def test_urls_that_are_files(memory_store):
    """An image suffix, a file in the store, a web address, and a missing file."""
    fill(memory_store, "b/photo")
    names = ["memory://b/a.jpg", "memory://b/photo", "https://host/photos/", "memory://b/none"]
    assert list(find_sources(names)) == [Source(name) for name in names]


def test_unreadable_folder(memory_store, monkeypatch, recorded_delays):
    def broken(self, path, **how):
        raise OSError("no answer\nfor long")

    monkeypatch.setattr(type(memory_store), "ls", broken)
    with pytest.raises(InputError, match=r"memory://b cannot be listed: no answer$"):
        list(find_sources(["memory://b"]))
    assert recorded_delays == [0.5, 1.0]


def test_lists_at_urls(memory_store):
    memory_store.pipe_file("/list.txt", b"a.png\nmemory://b/c.png\n")
    assert read_list("memory://list.txt") == ["a.png", "memory://b/c.png"]
    with pytest.raises(UsageError, match="No such file"):
        read_list("memory://none.txt")


# requests that fail


class Store:
    """Raises the given errors, one per call, then returns."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return b"answer"


class RefusedError(Exception):
    status = 403


class BusyError(Exception):
    status = 429


def test_transient_errors_are_retried(recorded_delays):
    store = Store(ConnectionError("reset"), BusyError())
    assert remote.with_retries(store) == b"answer"
    assert recorded_delays == [0.5, 1.0]


def test_at_most_three_attempts(recorded_delays):
    store = Store(*[ConnectionError(f"reset {number}") for number in range(9)])
    with pytest.raises(ConnectionError, match="reset 2"):
        remote.with_retries(store)
    assert store.calls == 3


NoCredentialsError = type("NoCredentialsError", (Exception,), {})


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), PermissionError(), ValueError(), RefusedError(), NoCredentialsError()]
)
def test_permanent_errors_are_not_retried(error, recorded_delays):
    store = Store(error)
    with pytest.raises(type(error)):
        remote.with_retries(store)
    assert (store.calls, recorded_delays) == (1, [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError("b/x.jpg"), "No such file"),
        (PermissionError("Access Denied"), "Access Denied"),
        (RefusedError("403, message='Forbidden'\nand more"), "403, message='Forbidden'$"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_read_error_has_one_line(memory_store, monkeypatch, error, reason):
    monkeypatch.setattr(type(memory_store), "cat_file", lambda self, path, **how: Store(error, error, error)())
    with pytest.raises(InputError, match=f"cannot be read: {reason}"):
        Source("memory://b/x.jpg").read()


def test_reads_and_writes_are_retried(memory_store, monkeypatch):
    """A read and a write succeed if the first request of each fails."""
    for name in ("cat_file", "pipe_file"):
        failing = Store(ConnectionError())
        original = getattr(type(memory_store), name)

        def fail_once(self, *arguments, original=original, failing=failing, **options):
            failing()
            return original(self, *arguments, **options)

        monkeypatch.setattr(type(memory_store), name, fail_once)
    write_output(as_path("memory://b/x.bin"), b"data")
    assert Source("memory://b/x.bin").read() == b"data"


# outputs


def planned(sources, output, **more):
    plan = plan_outputs(sources, parse_destination(output, ()), ONE, **more)
    return [[str(out.path) for out in outs] for _, outs in plan]


def test_outputs_at_urls():
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


def test_exists_at_urls(memory_store, monkeypatch):
    fill(memory_store, "b/x.png")
    assert files.exists(as_path("memory://b/x.png"))
    assert not files.exists(as_path("memory://b/y.png"))
    monkeypatch.setattr(type(memory_store), "info", lambda self, path, **how: Store(*[OSError()] * 3)())
    assert not files.exists(as_path("memory://b/x.png"))


def test_write_error(memory_store, monkeypatch):
    monkeypatch.setattr(
        type(memory_store), "pipe_file", lambda self, *more, **how: Store(PermissionError("read-only"))()
    )
    with pytest.raises(OutputError, match="memory://b/x cannot be written: read-only"):
        write_output(as_path("memory://b/x"), b"")


# reports


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


def test_report_at_a_url(memory_store):
    directory = as_path("memory://b/maps")
    with ReportWriter(directory, {"command": "explain", "inputs": 1}, ReportImages(directory)) as recorder:
        recorder.write({"status": "failed", "input": "a.jpg", "error": "broken"})
    assert b"a.jpg" in memory_store.cat_file("/b/maps/index.html")
    check_not_foreign_page(directory)
    memory_store.pipe_file("/b/maps/index.html", b"<h1>my own page</h1>")
    with pytest.raises(OutputError, match="no report"):
        check_not_foreign_page(directory)


def test_missing_run_log(memory_store, tmp_path):
    assert load_run_log(as_path("memory://b/none")) is None
    assert load_run_log(tmp_path) is None


def test_saved_maps_at_urls(memory_store):
    fill(memory_store, "b/maps/x_gradcam.npz", "b/maps/sub/y_gradcam.npz", "b/maps/x.png")
    found = find_saved_maps(as_path("memory://b/maps"))
    assert {name: str(path) for name, path in found.items()} == {
        name: f"memory://b/maps/{name}" for name in ("sub/y_gradcam.npz", "x_gradcam.npz")
    }
    with pytest.raises(InputError, match=r"no \.npz files found"):
        find_saved_maps(as_path("memory://b/none"))


def test_the_command_from_store_to_store(memory_store, cli, photo, model_file):
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
