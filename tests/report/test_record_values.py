"""Every value of real records replaced by wrong ones: `report` and `compare` never end unexpectedly.

The records are those of `explain`, `evaluate`, `compare` and `neuralode explain`. `make test` replaces a sample that is
always the same, `make test-all` a larger one that is always new.
"""

import json
import math
import os
import random
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from nested_values import nodes, replaced
from PIL import Image

from gradcam_cli.cli import gradcam
from gradcam_cli.pipeline.json_lines import FIELDS, KEYS
from gradcam_cli.reporting.record_fields import SHAPES, check_record

ODENET = Path(__file__).parent.parent / "neuralode/layers/data/odenet.keras"
DEEP = "[" * 100_000 + "]" * 100_000
WRONG = [
    *(None, True, -1, 0, 1e308, math.nan, 10**400, "", "x" * 200_000, [], {}, [[1, 2]], {"a": {"b": 1}}),
    *("DEEP", "\u202e\x1b[31m", "$\\frac{", "//host/x", "\ud800\0", "s3://bucket/x"),
]
samples = pytest.mark.parametrize("sample", [40, pytest.param(1_000, marks=pytest.mark.extended)])


def run(*arguments):
    """Run the command and check how it ends."""
    result = CliRunner().invoke(gradcam, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit | None), arguments
    assert "unexpected" not in result.stderr, result.stderr
    assert result.exit_code in range(5)
    assert result.exit_code == 0 or result.stderr
    return result


@pytest.fixture(scope="module")
def runs(tmp_path_factory, model_file):
    """The directories of four runs, by command."""
    here, previous = tmp_path_factory.mktemp("runs"), Path.cwd()
    os.chdir(here)
    Path("photos").mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 30, 3), np.uint8)
        Image.fromarray(pixels).save(f"photos/{number}.png")
    Path("photos/damaged.png").write_bytes(b"")
    model = ("--model", model_file, "--preprocess", "-1..1", "--report", "-o")
    run("photos", *model, "explain", "--save", "npz")
    metrics = ("--metric", "deletion", "--metric", "average-drop", "--steps", "3", "--fail-under", "deletion=0")
    run("evaluate", "photos", *model, "evaluate", *metrics, "--sanity-check", "--sanity-images", "1")
    run("compare", "explain", "explain", "--report", "-o", "compare", "--max-drift", "rank=1")
    run(
        "neuralode",
        "explain",
        "photos",
        "--model",
        ODENET,
        "--block",
        "ode",
        "--num-times",
        "2",
        "--report",
        "-o",
        "ode",
    )
    yield {name: here / name for name in ("explain", "evaluate", "compare", "ode")}
    os.chdir(previous)


def read_lines(directory):
    return [json.loads(line) for line in (directory / "report/run.jsonl").read_text().splitlines()]


def kinds_of_lines(lines):
    """Return the numbers of the first lines with different keys."""
    kinds = {}
    for number, line in enumerate(lines):
        kinds.setdefault((line["status"], *line), number)
    return list(kinds.values())


def dump(value):
    return json.dumps(value).replace('"DEEP"', DEEP)


def drawn(cases, sample):
    """Return a sample: a small one is always the same."""
    return random.Random(0 if sample < 100 else None).sample(cases, min(sample, len(cases)))


@pytest.mark.extended
@samples
def test_wrong_values_in_run_logs(runs, sample, tmp_path):
    """The report contains the other results, or the log is refused."""
    logs = {name: read_lines(directory) for name, directory in runs.items()}
    cases = [
        (name, number, path, wrong)
        for name, lines in logs.items()
        for number in kinds_of_lines(lines)
        for path in nodes(lines[number])
        for wrong in WRONG
    ]
    (tmp_path / "report").mkdir()
    for name, number, path, wrong in drawn(cases, sample):
        changed = dump(replaced(logs[name][number], path, wrong))
        others = [json.dumps(line) for n, line in enumerate(logs[name]) if n != number]
        for lines in ([*others[:number], changed, *others[number:]], [changed]):
            (tmp_path / "report/run.jsonl").write_text("\n".join(lines) + "\n")
            run("report", tmp_path, "-q")


@samples
def test_wrong_values_in_saved_maps(runs, sample, tmp_path):
    """In their metadata, and wrong arrays: the map is drawn, or it is refused with the reason."""
    with np.load(runs["explain"] / "0_gradcam.npz") as file:
        valid = dict(file)
    metadata = json.loads(str(valid["metadata"]))
    cases = [
        ("metadata", np.array(dump(replaced(metadata, path, wrong)))) for path in nodes(metadata) for wrong in WRONG
    ]
    arrays = [np.zeros((0, 0), np.float32), np.full((3, 3), np.nan), np.float32(3), np.zeros((1, 3000), np.float32)]
    arrays += [np.full((4, 4), 3e38, np.float32), np.full((4, 4), 1e300), np.array("x"), np.zeros((2, 2), complex)]
    cases += [(name, array) for name in valid for array in arrays]
    for name, array in drawn(cases, sample):
        np.savez(tmp_path / "0_gradcam.npz", **{**valid, name: array})
        (tmp_path / "index.html").unlink(missing_ok=True)
        run("report", tmp_path)
        run("compare", tmp_path, runs["explain"])
        run("compare", tmp_path, tmp_path, "--grid", tmp_path / "grid.png", "--report", "-o", tmp_path / "page")


def test_table_of_values_covers_every_record(runs):
    """Each record of the four runs is valid, and no key is removed from it."""
    for directory in runs.values():
        for line in read_lines(directory):
            assert check_record(line) == line
    statuses = {line["status"] for directory in runs.values() for line in read_lines(directory)}
    assert statuses == set(SHAPES) - {"skipped", "unmatched", "summary"}
    assert tuple(FIELDS) == KEYS
