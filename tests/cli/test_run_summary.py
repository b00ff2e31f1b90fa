"""The last line of a run on standard error: what was done, where, how long it took, and what failed."""

import re

import pytest

from gradcam_cli.output.destination import parse_destination


def summary(done):
    """Return the only last line, with its time replaced."""
    (line,) = done.summaries
    return re.sub(r"\(\d+\.\d s\)", "(TIME)", line)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "1 image, 1 map in the current directory (TIME)"),
        (["--class", "0", "--class", "1", "-o", "maps"], "1 image, 2 maps in maps/ (TIME)"),
        (["-o", "map.png"], "1 image, 1 map in map.png (TIME)"),
        (["missing.png", "-o", "maps"], "1 image, 1 map in maps/ (TIME); 1 failed"),
    ],
)
def test_explain_ends_with_a_line(small, photo, words, expected):
    """It is the last line, and standard output has only results."""
    done = small(photo(), *words)
    assert summary(done) == expected
    assert "(TIME)" not in done.stdout
    assert all("->" in line for line in done.lines)


def test_the_directory_of_directories_is_named(small, photo):
    """With --skip-existing, a second run lists what it skipped."""
    photo("photos/a.png")
    photo("photos/b.png")
    folder = small.here.parent / "photos"
    assert summary(small(folder)) == "2 images, 2 maps in gradcam_out/ (TIME)"
    again = small(folder, "--skip-existing")
    assert summary(again) == "0 images, 0 maps in gradcam_out/ (TIME); 2 skipped"
    mixed = small(folder, photo("c.png"))
    assert summary(mixed) == "3 images, 3 maps in the current directory, gradcam_out/ (TIME)"


def test_quiet_runs_and_dry_runs_have_none(small, photo):
    assert small(photo(), "-q").summaries == []
    assert small(photo(), "--dry-run").summaries == []
    assert small("missing.png", "-q").summaries == []


def test_standard_output_is_named(cli_process, photo, model_file):
    """The bytes of the image are all of standard output."""
    done = cli_process(photo(), "--model", model_file, "-o", "-")
    assert summary(done) == "1 image, 1 map in standard output (TIME)"
    assert parse_destination("-", ()).places([]) == ["standard output"]


def test_all_inputs_failed(small):
    done = small("missing.png")
    assert (done.status, summary(done)) == (3, "0 images, 0 maps in the current directory (TIME); 1 failed")


def test_evaluate_and_compare_end_with_a_line(small, photo):
    """Failed thresholds are the lines after it."""
    done = small("evaluate", photo(), "missing.png", "--metric", "deletion", "--steps", "2", "--csv", "a.csv")
    assert summary(done) == "1 image, 1 map in a.csv (TIME); 1 failed"
    for name, seed in (("before", 0), ("after", 1)):
        small(photo(seed=seed), "--save", "npz", "-o", name, "-q")
    failed = small.compare("before", "after", "--max-drift", "rank=0", "--grid", "grid.png")
    assert failed.status == 4
    assert summary(failed) == "1 map in grid.png (TIME)"
    assert re.fullmatch(r"FAILED: rank \d\.\d{4} is above 0 \(--max-drift\)\n", failed.stderr)


@pytest.fixture
def small(small, cli):
    """The command with the small network; `compare` takes no model."""
    small.compare = lambda *words: cli("compare", *words)
    return small
