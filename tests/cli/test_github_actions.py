"""Annotations of GitHub Actions on standard error."""

import pytest

from gradcam_cli.console import escape_control_chars, print_error, print_failed_threshold
from gradcam_cli.github_actions import annotation


@pytest.fixture
def job(monkeypatch, tmp_path):
    """A step of a job whose checkout is the temporary directory."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_data_and_properties_are_escaped(monkeypatch):
    """As the runner decodes them: %25, %0D and %0A, and in properties also %3A and %2C."""
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    assert annotation("error", "100 %\r\nnext: a, b") == "::error::100 %25%0D%0Anext: a, b"
    assert annotation("warning", "x", "a:b,c%.png") == "::warning file=a%3Ab%2Cc%25.png::x"


@pytest.mark.parametrize(
    ("given", "file"),
    [
        ("photos/a.png", "photos/a.png"),
        ("{root}/photos/a.png", "photos/a.png"),
        ("/elsewhere/a.png", "/elsewhere/a.png"),
    ],
)
def test_files_are_relative_to_the_checkout(job, tmp_path, given, file):
    assert annotation("error", "x", given.format(root=tmp_path)) == f"::error file={file}::x"
    assert annotation("error", "x", "s3://b/a.png") == "::error file=s3%3A//b/a.png::x"


def test_failed_inputs_are_annotated_with_their_file(job, small, photo):
    """The error line stays; the hint is the second line of the annotation; standard output has results only."""
    photo("cat.png")
    (small.here.parent / "cat.png").rename(small.here / "cat.png")
    done = small("cat.pngg", "cat.png")
    assert done.status == 1
    reason = "cat.pngg: cannot be read: No such file or directory"
    assert f"error: {reason}\nhint: did you mean cat.png?\n" in done.stderr
    assert f"::error file=here/cat.pngg::{reason}%0Ahint: did you mean cat.png?\n" in done.stderr
    assert "::" not in done.stdout
    assert len(done.lines) == 1


def test_warnings_and_thresholds_are_annotated(job, small, photo, capsys):
    """A guessed preprocessing is a warning; a missed threshold is an error, also with --quiet."""
    guessed = small.cli(photo(), "--model", small.model)
    assert any(line.startswith("::warning::small: input 12x12") for line in guessed.announcements)
    words = ("evaluate", photo(), "--metric", "deletion", "--steps", "2", "--fail-above", "deletion=0", "-q")
    missed = small(*words)
    assert missed.status == 4
    failed, annotated = missed.stderr.splitlines()
    assert failed.startswith("FAILED: deletion ")
    assert annotated == f"::error::{failed}"
    print_failed_threshold("a\x1b\nb")
    assert capsys.readouterr().err == "FAILED: a\\x1b\\nb\n::error::FAILED: a\\x1b\\nb\n"


def test_other_runs_have_no_annotations(monkeypatch, capsys):
    monkeypatch.setenv("GITHUB_ACTIONS", "false")
    print_error("x", "y", "z")
    assert capsys.readouterr().err == "error: x\nhint: y\n"


@pytest.fixture
def small(small, cli, monkeypatch):
    """The command with the small network, in a directory of the checkout."""
    monkeypatch.chdir(small.here)
    small.cli = cli
    return small


def is_command(line):
    """Whether the runner reads a line as a command: `::` after spaces, or `##[` anywhere."""
    return line.lstrip().startswith("::") or "##[" in line


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("::add-mask::cat.png", r"\::add-mask::cat.png"),
        (" ::error::x.png", r" \::error::x.png"),
        ("a ##[error]b.png", r"a #\#[error]b.png"),
    ],
)
def test_names_of_files_are_no_commands(job, small, photo, name, printed):
    """A pull request may add a file of any name; its line on standard output must not hide or invent messages."""
    photo("cat.png").rename(name)
    for words in ((name,), (name, "--dry-run")):
        done = small.cli(*words, "--model", small.model, "-o", "out")
        assert done.status == 0
        assert not any(map(is_command, done.stdout.splitlines()))
        assert done.stdout.startswith(printed)


def test_names_are_printed_as_they_are_elsewhere(monkeypatch):
    assert escape_control_chars("::error::") == "::error::"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert escape_control_chars("::error::") == r"\::error::"
    assert escape_control_chars("a::b") == "a::b"
