"""Closed, full and limited standard streams; places without a home directory; control characters in messages."""

import io
import os
import subprocess
import sys

import pytest
from doc_blocks import messages

from gradcam_cli.cli import report_error
from gradcam_cli.cli.streams import _ClosedInput, open_messages
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import configure_logging, escape_control_chars, log, print_error
from gradcam_cli.errors import InputError, WeightsError
from gradcam_cli.images.source import Source
from gradcam_cli.models.catalog import find_spec
from gradcam_cli.models.weights import ensure_weights

MODELS = f"{sys.executable} -m gradcam_cli models"
SPOOFED = "a\x1b[2Jb\u202ec\u200fd\u061ce\ndir\udcff"
ESCAPED = r"a\x1b[2Jb\u202ec\u200fd\u061ce\ndir\udcff"


def shell(command, cwd, **environment):
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, cwd=cwd, env={**os.environ, **environment}, timeout=120
    )


@pytest.mark.parametrize(
    ("redirection", "status", "message"),
    [
        (">/dev/full", 3, "error: standard output cannot be written: No space left on device"),
        (">&-", 3, "error: standard output is closed"),
        ("<&- 2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
    ],
)
def test_closed_and_full_streams(tmp_path, redirection, status, message):
    """One clear sentence and its status; closed or full standard error and closed standard input do not matter."""
    done = shell(f"{MODELS} {redirection}", tmp_path)
    assert done.returncode == status
    assert done.stderr.decode().partition("\n")[0] == message
    assert (b"vgg19" in done.stdout) == (status == 0)


def test_places_without_a_home_or_a_backend(photo, tmp_path):
    """ASCII output, closed standard input, no home directory, and the backend of a notebook: an image is done."""
    photo("c\u00e4t.png")
    environment = {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "module://not_installed.backend", "HOME": "~"}
    command = f"{sys.executable} -m gradcam_cli c\u00e4t.png --model mini --save overlay <&-"
    done = shell(f"env -u KERAS_HOME {command}", tmp_path, **environment)
    assert (done.returncode, messages(done.stderr.decode())) == (0, "")
    assert done.stderr.startswith(b"mini: input 32x32 ")
    assert done.stdout.startswith(rb"c\xe4t.png: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c\u00e4t.png", "c\u00e4t_gradcam_overlay.png"]


def test_weights_without_a_home_directory(monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(WeightsError, match="no home directory"):
        ensure_weights(find_spec("vgg19"), offline=True)


def test_models_without_a_home_directory(cli, monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    done = cli("models")
    assert (done.status, done.stderr) == (0, "")


def test_closed_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(_ClosedInput())))
    with pytest.raises(InputError, match="standard input is closed"):
        Source("-").read()


def test_a_full_standard_error_loses_only_messages():
    with open("/dev/full", "wb", buffering=0) as full:
        messages = open_messages(full.fileno())
        print("lost", file=messages, flush=True)


def test_foreseeable_errors_are_not_unexpected(capsys):
    """System errors and a lack of memory that no command has caught."""
    for error in (PermissionError(13, "Permission denied", "/tmp/x\x1b"), OSError("no space"), MemoryError()):
        assert report_error(error) == 3
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["error: /tmp/x\\x1b: Permission denied", "error: no space", "error: out of memory"]


def test_no_message_has_control_characters(capsys, monkeypatch):
    """Log lines, notes, errors, hints and tables: ESC, line ends, marks of direction and surrogates are escaped."""
    handlers, level = list(log.handlers), log.level
    monkeypatch.setattr(log, "propagate", False)  # pytest-xdist cannot send surrogates in a report
    try:
        configure_logging(verbose=True)
        log.info("%s", SPOOFED)
        log.warning("%s", SPOOFED)
    finally:
        log.handlers[:] = handlers
        log.setLevel(level)
    print_error(SPOOFED, SPOOFED)
    write_table([{SPOOFED: SPOOFED, "shape": (SPOOFED, 1)}], sys.stdout, as_json=False)
    out, err = capsys.readouterr()
    assert err.splitlines() == [ESCAPED, f"note: {ESCAPED}", f"error: {ESCAPED}", f"hint: {ESCAPED}"]
    assert out.splitlines() == [f"{ESCAPED}  shape".ljust(len(out.splitlines()[0])), f"{ESCAPED}  {ESCAPED}x1"]
    assert all(escape_control_chars(line) == line for line in (out + err).splitlines())


def test_text_on_standard_output_has_no_control_characters(cli, photo):
    """Results, the dry run and the report's path, for a file whose name is an attack on the terminal."""
    photo("here/a\x1b[2J\u202eb.png")
    for arguments in (("--model", "mini"), ("--dry-run",), ("--model", "mini", "-o", "x\x1b[2J\u200f", "--report")):
        done = cli("a\x1b[2J\u202eb.png", *arguments)
        assert done.status == 0
        assert r"a\x1b[2J\u202eb" in done.stdout
        assert escape_control_chars(done.stdout.replace("\n", "")) == done.stdout.replace("\n", "")
    done = cli("report", "x\x1b[2J\u200f")
    assert done.stdout == "x\\x1b[2J\\u200f/index.html\n"
