"""Malformed image files: each alone in the decoder, and all in one run of the command."""

import json
import os
import re
import socket
import threading

import pytest
from malformed_images import CASES, SIZE, lay_out, noise, png
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images.decode import decode
from gradcam_cli.images.discover import find_sources
from gradcam_cli.images.load import Failure, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs

SAID = re.compile(r"(error|hint|note): .")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "all"
    lay_out(folder)
    return folder


def test_corpus_has_no_duplicates():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {ascii(case.name)[1:-1][:40]}")
@pytest.mark.filterwarnings("ignore:::PIL")
def test_file_is_refused_or_decoded_correctly(case, corpus):
    """An error of one line with the expected words, or the expected first pixel."""
    photo = load_image(Source(str(corpus / case.name)))
    if case.refused:
        assert isinstance(photo, Failure)
        assert re.search(case.refused, photo.error)
        assert "\n" not in photo.error
    else:
        assert not isinstance(photo, Failure), photo.error
        assert case.pixel is None or tuple(photo.pixels[0, 0]) == case.pixel


@pytest.mark.slow
def test_command_reports_one_result_for_each_file(corpus, cli_process, model_file, tmp_path):
    """One record per input with the expected status, one complete figure per map, and one error per failure."""
    arguments = ("--model", model_file, "--preprocess", "none", "--json", "--save", "figure", "--save", "npz")
    done = cli_process(corpus, *arguments, "-o", "maps", check=False)
    records = {os.path.relpath(record["input"], corpus): record for record in map(json.loads, done.lines)}
    expected = {case.name: case for case in CASES if case.name[0] != "."}
    assert done.status == 1
    assert len(done.lines) == len(expected)
    assert records.keys() == expected.keys()
    for name, case in expected.items():
        assert records[name]["status"] == ("failed" if case.refused else "ok"), (name, records[name]["error"])
        assert not case.refused or re.search(case.refused, records[name]["error"])
        if not case.refused:
            with Image.open(tmp_path / records[name]["outputs"]["figure"]) as drawn:
                drawn.load()
    said = done.stderr.splitlines()
    assert [line for line in said if not SAID.match(line)] == []
    assert sum(line.startswith("error: ") for line in said) == sum(bool(case.refused) for case in CASES)


@pytest.mark.slow
def test_names_of_any_bytes_are_drawn(cli_process, model_file, photo, tmp_path):
    """The grid and the figures are drawn; characters without a glyph are replaced."""
    names = [os.fsdecode(b"\xff\x80.png"), "new\nline.png", "$x^2$.png", "日本.png"]
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(["\ud800\n", "a\0b", "$\\frac$"]))
    for name in names:
        photo(name)
    arguments = ("--model", model_file, "--preprocess", "none", "--labels", labels)
    done = cli_process("--save", "grid", "-o", "sheet.png", *arguments, "--", *names)
    assert (done.status, done.stderr) == (0, "")
    done = cli_process("-o", "maps", *arguments, "--class", "0", "--class", "1", "--class", "2", "--", *names)
    assert (done.status, done.stderr) == (0, "")
    assert len(done.lines) == len(names)


def test_long_names_are_cut(tmp_path):
    """Output names are short enough for a file system, and unique."""
    sources = [Source("a" * 247 + ending) for ending in (".png", ".jpg", "b.png", "b.jpg")]
    sources += [Source("ü" * 125 + ".png")]
    maps = [("auto", "gradcam", "top1"), ("auto", "layercam", "top1")]
    planned = plan_outputs(sources, parse_destination(str(tmp_path), ["npz", "overlay"], None), maps)
    paths = [output.path for _, outputs in planned for output in outputs]
    assert len(set(paths)) == len(paths) == 20
    for path in paths:
        path.touch()


def test_named_pipe_is_refused(tmp_path):
    """A pipe without a writer does not block the run."""
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="got a pipe") as caught:
        Source(str(tmp_path / "pipe.png")).read()
    assert "- reads" in caught.value.hint


def test_file_replaced_after_its_check_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "photo.png"
    path.touch()
    look = os.stat(path)
    path.unlink()
    os.mkfifo(path)
    with monkeypatch.context() as patch:
        patch.setattr("os.stat", lambda name: look)
        with pytest.raises(InputError, match="got a pipe"):
            Source(str(path)).read()
        path.unlink()
        with pytest.raises(InputError, match="cannot be read: No such file"):
            Source(str(path)).read()


@pytest.mark.parametrize("number", [5, 13, 116])
def test_read_errors_give_their_reason(tmp_path, monkeypatch, number):
    """EIO, EACCES and ESTALE: the reason in one line."""

    def fail(*_):
        raise OSError(number, os.strerror(number))

    (tmp_path / "photo.png").touch()
    monkeypatch.setattr("gradcam_cli.storage.regular_files._open_nonblocking", fail)
    with pytest.raises(InputError, match=f"cannot be read: {os.strerror(number)}"):
        Source(str(tmp_path / "photo.png")).read()


def test_unreadable_directory_is_an_input_with_an_error(tmp_path, monkeypatch):
    """The other directories are searched."""
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.png").touch()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", guarded)
    found = [os.path.relpath(source.name, tmp_path) for source in find_sources([str(tmp_path)])]
    assert found == ["open/photo.png", "closed"]
    assert [source.name for source in find_sources([str(tmp_path / "closed")])] == [str(tmp_path / "closed")]


def test_file_removed_after_discovery_is_an_error(tmp_path):
    (tmp_path / "photo.png").touch()
    (source,) = find_sources([str(tmp_path)])
    (tmp_path / "photo.png").unlink()
    assert "No such file" in load_image(source).error


def test_no_program_is_started_for_an_image(monkeypatch):
    """Pillow would start Ghostscript for PostScript, whatever the file name."""
    monkeypatch.setattr("subprocess.Popen", None)
    with pytest.raises(InputError, match="not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")


def test_threads_decode_independently():
    """Damaged files in other threads change no pixel of a valid file."""
    from concurrent.futures import ThreadPoolExecutor
    from io import BytesIO

    buffer = BytesIO()
    noise().save(buffer, "PNG")
    good = buffer.getvalue()

    def outcome(number):
        try:
            return decode(good if number % 2 else good[: 50 * number]).tobytes()
        except InputError:
            return threading.current_thread().name.encode()[:0]

    with ThreadPoolExecutor(4) as pool:
        assert set(list(pool.map(outcome, range(80)))[1::2]) == {noise().tobytes()}
    assert noise().size == SIZE


def test_very_narrow_image_is_not_padded(photo, cli, model_file):
    """Padding 30,000 x 1 pixels would need 2.7 GB; the other input is explained."""
    long = photo("long.png", size=(30_000, 1))
    done = cli(long, photo(), "--model", model_file, "--preprocess", "none", "--fit", "pad", "--save", "npy")
    assert done.status == 1
    assert "30000x1" in done.stderr
    assert "--fit squash or --fit crop" in done.stderr
    assert len(done.lines) == 1


def test_sixteen_bit_channels_keep_their_high_byte():
    """Pillow drops the low byte: at most one level from the rounded value."""
    row = b"".join(value.to_bytes(2, "big") for value in (0, 65535, 32896))
    assert decode(png(1, 1, 16, 2, b"\0" + row)).tolist() == [[[0, 255, 128]]]


def test_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s.png")
        with pytest.raises(InputError, match="got a socket"):
            Source("s.png").read()
