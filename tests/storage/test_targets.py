"""Outputs in the place of devices, pipes, links and directories."""

import os
import stat
import threading

import pytest

from gradcam_cli.errors import OutputError
from gradcam_cli.output.destination import Destination, parse_destination
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.run_log import RunLog
from gradcam_cli.reporting.writer import ReportWriter
from gradcam_cli.storage.files import atomic_write, write_output

MINI = ("--model", "mini")


def read_in_thread(path):
    """Read a pipe until its writer closes it; the list gets the bytes."""
    chunks = []
    thread = threading.Thread(target=lambda: chunks.append(path.read_bytes()), daemon=True)
    thread.start()
    return thread, chunks


def test_a_device_is_written_into(tmp_path):
    """Also through a link that the user named; the device and the link stay."""
    link = tmp_path / "null"
    link.symlink_to(os.devnull)
    write_output(link, b"rows")
    assert link.is_symlink()
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_named_pipe_is_written_into(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    thread, chunks = read_in_thread(pipe)
    write_output(pipe, b"rows")
    thread.join(10)
    assert chunks == [b"rows"]
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)


def test_an_open_file_is_written_at_its_position(tmp_path):
    """`/dev/fd/3` is the open file, not a second one that begins at its start."""
    with open(tmp_path / "out", "wb", buffering=0) as file:
        file.write(b"head\n")
        write_output(f"/dev/fd/{file.fileno()}", b"rows\n")
        file.write(b"tail\n")
    assert (tmp_path / "out").read_bytes() == b"head\nrows\ntail\n"


def test_no_device_is_replaced_by_any_write(tmp_path):
    """A pipe in a results directory is an error, and does not block."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="it is a device or a pipe"):
        write_output(pipe, b"map", tmp_path)
    with pytest.raises(OSError, match="it is a device or a pipe"), atomic_write(pipe):
        pass
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)


@pytest.mark.parametrize("within", [True, False])
def test_a_directory_is_an_error(tmp_path, within):
    (tmp_path / "map.png").mkdir()
    with pytest.raises(OutputError, match=r"map.png cannot be written: it is a directory"):
        write_output(tmp_path / "map.png", b"map", tmp_path if within else None)
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_a_link_that_the_user_named_is_followed(tmp_path):
    """The link stays, its target is replaced atomically."""
    (tmp_path / "latest.csv").symlink_to("runs.csv")
    for data in (b"first", b"second"):
        write_output(tmp_path / "latest.csv", data)
    assert (tmp_path / "latest.csv").is_symlink()
    assert (tmp_path / "runs.csv").read_bytes() == b"second"


@pytest.mark.parametrize("target", ["../other.png", "/dev/null", "missing/x.png"])
def test_a_link_in_a_results_directory_is_replaced(tmp_path, target):
    """Nothing is written where it points."""
    (tmp_path / "other.png").write_bytes(b"mine")
    results = tmp_path / "results"
    results.mkdir()
    (results / "x_gradcam.png").symlink_to(target)
    write_output(results / "x_gradcam.png", b"map", results)
    assert not (results / "x_gradcam.png").is_symlink()
    assert (tmp_path / "other.png").read_bytes() == b"mine"


def test_a_folder_link_is_not_followed_out_of_the_results(tmp_path):
    """A link to another folder of the results is followed, as is a results directory that is itself a link."""
    for name in ("outside", "disk/inside"):
        (tmp_path / name).mkdir(parents=True)
    results = tmp_path / "results"
    results.symlink_to("disk")
    (results / "out").symlink_to("../outside")
    (results / "in").symlink_to("inside")
    write_output(results / "in/x.png", b"map", results)
    assert (tmp_path / "disk/inside/x.png").read_bytes() == b"map"
    for folder in ("out", "out/new"):
        with pytest.raises(OutputError, match="a link leads out of"):
            write_output(results / folder / "x.png", b"map", results)
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("resume", [False, True])
def test_the_run_log_is_not_written_through_a_link(tmp_path, resume):
    """A resumed log that is a link is an error; a new one replaces the link."""
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"mine")
    (tmp_path / "results/report").mkdir(parents=True)
    (tmp_path / "results/report/run.jsonl").symlink_to(mine)
    log = RunLog(tmp_path / "results", resume=resume)
    if resume:
        with pytest.raises(OSError, match="it is a link"):
            log.write(b"{}")
    else:
        log.write(b"{}")
        log.close()
        assert (tmp_path / "results/report/run.jsonl").read_bytes() == b"{}\n"
    assert mine.read_bytes() == b"mine"


def test_a_report_folder_that_is_a_link(tmp_path):
    """Neither the log nor an image is written to another directory, and nothing there is deleted."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/run.jsonl").write_bytes(b"mine")
    results = tmp_path / "results"
    results.mkdir()
    (results / "report").symlink_to("../elsewhere")
    images = ReportImages(results)
    with pytest.raises(OutputError, match="a link leads out of"), ReportWriter(results, {}, images) as writer:
        writer.write({"status": "ok", "input": "x"})
    with pytest.raises(OutputError, match="a link leads out of"):
        images._save("key", "map.png", b"map")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["run.jsonl"]
    assert (tmp_path / "elsewhere/run.jsonl").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("/dev/stdout", Destination(("figure",), stdout=True)),
        ("/dev/null", None),
        ("map.png", None),
    ],
)
def test_a_device_is_a_file(tmp_path, monkeypatch, output, expected):
    """/dev/stdout is -o -, other devices are a file of the default kind."""
    monkeypatch.chdir(tmp_path)
    destination = parse_destination(output, ())
    assert destination == expected if expected else str(destination.file) == output


def test_batch_through_links(cli, photo):
    """Each image with a link out of the results fails alone; the target of a link is unchanged."""
    for name in ("in/a/x.png", "in/b/y.png"):
        photo(f"here/{name}")
    (cli.here / "outside").mkdir()
    (cli.here / "out/b").mkdir(parents=True)
    (cli.here / "out/a").symlink_to("../outside")
    (cli.here / "mine.png").write_bytes(b"mine")
    (cli.here / "out/b/y_gradcam.png").symlink_to("../../mine.png")
    done = cli("in", *MINI, "-o", "out")
    assert done.status == 1
    assert "x_gradcam.png cannot be written: a link leads out of out" in done.stderr
    assert list((cli.here / "outside").iterdir()) == []
    assert (cli.here / "mine.png").read_bytes() == b"mine"


def test_outputs_of_commands_into_devices(cli, photo):
    """An image, a table and a figure into /dev/null and into a pipe."""
    path = photo()
    pipe = cli.here / "pipe"
    os.mkfifo(pipe)
    thread, chunks = read_in_thread(pipe)
    assert cli(path, *MINI, "-o", "pipe").status == 0
    thread.join(10)
    assert chunks[0].startswith(b"\x89PNG")
    assert cli(path, *MINI, "-o", os.devnull).status == 0
    done = cli(
        "evaluate", path, *MINI, "--metric", "increase-in-confidence", "--csv", os.devnull, "--junit-xml", os.devnull
    )
    assert done.status == 0, done.stderr
    assert stat.S_ISCHR(os.lstat(os.devnull).st_mode)
    assert stat.S_ISFIFO(os.lstat(pipe).st_mode)


def test_a_file_without_suffix_is_no_directory(cli, photo):
    (cli.here / "README").write_text("mine")
    done = cli(photo(), *MINI, "-o", "README")
    assert done.status == 2
    assert "-o README: expected a directory, or a file ending in" in done.stderr
