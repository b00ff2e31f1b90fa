"""`gradcam neuralode ...` as it is typed: tables and pictures."""

import json
import subprocess
import sys

import keras
import pytest
from ode_networks import TanhConv
from PIL import Image

from gradcam_cli.cli.neuralode.gradcheck import PROBLEMS
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver import gradcheck as checking


def test_every_example_can_be_checked():
    assert tuple(checking.PROBLEMS) == PROBLEMS


@pytest.mark.slow
def test_check_prints_errors_that_fall_with_the_tolerance(cli):
    done = cli("neuralode", "check", "linear", "--json")
    assert (done.status, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.lines]
    assert [(row["gradient"], row["rtol"]) for row in rows] == [
        (gradient, rtol) for gradient in ("discrete", "adjoint") for rtol in (1e-3, 1e-6, 1e-9)
    ]
    for name in ("z0", "theta", "times"):
        errors = [row[name] for row in rows if row["gradient"] == "adjoint"]
        assert errors[2] < errors[0]
        assert errors[2] < 1e-7


@pytest.mark.slow
def test_flow_draws_figure_1(cli):
    """A residual network evaluates f once a layer: five layers, five paths."""
    done = cli("neuralode", "flow", "--json", "-o", "out/flow.jpg")
    assert done.status == 0
    row = json.loads(done.stdout)
    assert row["residual evaluations"] == 25
    assert row["ODE evaluations"] > 25
    with Image.open(cli.here / "out/flow.jpg") as picture:
        assert picture.format == "JPEG"


@pytest.mark.slow
def test_spiral_learns_and_draws(cli):
    """The loss of a few iterations is a number, the picture and the frames are there."""
    done = cli("neuralode", "spiral", "--iterations", "40", "--frames", "spiral.gif", "--json")
    assert (done.status, done.stderr) == (0, "")
    row = json.loads(done.stdout)
    assert row["iterations"] == 40
    assert 0 < float(row["loss"]) < 1
    with Image.open(cli.here / "spiral.gif") as frames:
        assert frames.n_frames == 2
    assert (cli.here / "spiral.png").exists()


@pytest.mark.slow
def test_a_saved_spiral_is_opened_and_drawn(cli):
    """`--save` writes a model that opens by itself; `flow --model` draws its block: 7 layers, 5 random states."""
    assert cli("neuralode", "spiral", "--iterations", "20", "--save", "out/spiral.keras").status == 0
    code = """
import pathlib, sys
import numpy as np
from gradcam_cli.storage import open_model_file
model = open_model_file(pathlib.Path(sys.argv[1]), allow_unsafe=False)
print(model.layers[0].t, model(np.ones((3, 2), "float32")).shape)
"""
    done = subprocess.run([sys.executable, "-c", code, cli.here / "out/spiral.keras"], capture_output=True, text=True)
    assert done.stdout.split("\n")[0] == "(0.0, 2.0) (3, 2)"
    done = cli("neuralode", "flow", "--model", "out/spiral.keras", "--depth", "7", "--json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["residual evaluations"] == 35


@pytest.mark.slow
def test_flow_of_images(cli, photo, tmp_path):
    """Of a classifier of images, the paths of those that are given."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(3, 3), ODEBlock(TanhConv(3), rtol=1e-2)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(2))
    model.save(tmp_path / "model.keras")
    images = [photo("a.png"), photo("b.png", seed=1)]
    arguments = ["--model", tmp_path / "model.keras", "--preprocess", "0..1"]
    done = cli("neuralode", "flow", *arguments, "--input", images[0], "--input", images[1], "--json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["residual evaluations"] == 10
    assert cli("neuralode", "flow", *arguments, "--input", "missing.png").status == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nothing"], "nothing"),
        (["flow", "-o", "flow.txt"], "expected a name ending in .png"),
        (["spiral", "--frames", "a.png"], "expected a name ending in .gif"),
        (["spiral", "--save", "a.h5"], "expected a name ending in .keras"),
        (["flow", "--input", "a.png"], "expected --model"),
    ],
)
def test_bad_arguments(cli, arguments, words):
    done = cli("neuralode", *arguments)
    assert done.status == 2
    assert words in done.stderr
