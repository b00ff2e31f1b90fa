"""`gradcam neuralode ...` as it is typed: tables and pictures."""

import json

import pytest
from PIL import Image

from gradcam_cli.commands.neuralode import EXAMPLES
from gradcam_cli.neuralode import check as checking


def test_every_example_can_be_checked():
    assert tuple(checking.EXAMPLES) == EXAMPLES


@pytest.mark.slow
def test_check_prints_errors_that_fall_with_the_tolerance(run):
    done = run("neuralode", "check", "linear", "--json")
    assert (done.status, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.lines]
    assert [(row["gradient"], row["rtol"]) for row in rows] == [
        (gradient, rtol) for gradient in ("discrete", "adjoint") for rtol in (1e-3, 1e-6, 1e-9)
    ]
    for name in ("z0", "theta", "times"):
        errors = [row[name] for row in rows if row["gradient"] == "adjoint"]
        assert errors[2] < errors[0]
        assert errors[2] < 1e-7


def test_flow_draws_figure_1(run):
    """A residual network evaluates f once a layer: five layers, five paths."""
    done = run("neuralode", "flow", "--json", "-o", "out/flow.jpg")
    assert done.status == 0
    row = json.loads(done.stdout)
    assert row["residual evaluations"] == 25
    assert row["ODE evaluations"] > 25
    with Image.open(run.here / "out/flow.jpg") as picture:
        assert picture.format == "JPEG"


@pytest.mark.slow
def test_spiral_learns_and_draws(run):
    """The loss of a few iterations is a number, the picture and the frames are there."""
    done = run("neuralode", "spiral", "--iterations", "40", "--frames", "spiral.gif", "--json")
    assert (done.status, done.stderr) == (0, "")
    row = json.loads(done.stdout)
    assert row["iterations"] == 40
    assert 0 < float(row["loss"]) < 1
    with Image.open(run.here / "spiral.gif") as frames:
        assert frames.n_frames == 2
    assert (run.here / "spiral.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nothing"], "nothing"),
        (["flow", "-o", "flow.txt"], "expected a name ending in .png"),
        (["spiral", "--frames", "a.png"], "expected a name ending in .gif"),
    ],
)
def test_bad_arguments(run, arguments, words):
    done = run("neuralode", *arguments)
    assert done.status == 2
    assert words in done.stderr
