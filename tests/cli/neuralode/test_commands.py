"""The commands `gradcam neuralode gradcheck`, `spiral` and `flow`, run in process: records and figures."""

import json
import subprocess
import sys

import keras
import pytest
from ode_networks import TanhConv
from PIL import Image

from gradcam_cli.cli.neuralode.gradcheck import PROBLEMS
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.solver import gradcheck as library


def test_argument_lists_all_problems():
    assert tuple(library.PROBLEMS) == PROBLEMS


@pytest.mark.extended
@pytest.mark.slow
def test_gradcheck_errors_decrease_with_the_tolerance(cli):
    result = cli("neuralode", "gradcheck", "linear", "--json")
    assert (result.status, result.stderr) == (0, "")
    rows = [json.loads(line) for line in result.lines]
    assert {row["schema_version"] for row in rows} == {2}
    assert all("tensorflow" in row["versions"] for row in rows)
    assert [(row["gradient"], row["rtol"]) for row in rows] == [
        (gradient, rtol) for gradient in ("discrete", "adjoint") for rtol in (1e-3, 1e-6, 1e-9)
    ]
    for name in ("z0", "theta", "times"):
        errors = [row[name] for row in rows if row["gradient"] == "adjoint"]
        assert errors[2] < errors[0]
        assert errors[2] < 3e-7  # the central differences have an error of this order


@pytest.mark.slow
def test_gradcheck_prints_errors_in_scientific_notation(cli):
    """The errors are in scientific notation; an f without parameters has no error of theta."""
    result = cli("neuralode", "gradcheck", "linear")
    assert result.lines[0].split() == ["gradient", "rtol", "z0", "theta", "times", "nfe_forward", "nfe_backward"]
    assert result.lines[1].split()[:2] == ["discrete", "1.0e-03"]


@pytest.mark.slow
def test_flow_of_the_toy_dynamics(cli):
    """Five layers and five paths: the residual network evaluates f 25 times."""
    result = cli("neuralode", "flow", "--json", "-o", "out/flow.jpg")
    assert result.status == 0
    row = json.loads(result.stdout)
    assert row["nfe_residual"] == 25
    assert row["nfe_ode"] > 25
    with Image.open(cli.here / "out/flow.jpg") as figure:
        assert figure.format == "JPEG"


@pytest.mark.slow
def test_spiral_writes_figure_and_animation(cli):
    result = cli("neuralode", "spiral", "--iterations", "40", "--animation", "spiral.gif", "--json")
    assert (result.status, result.stderr) == (0, "")
    row = json.loads(result.stdout)
    assert row["iterations"] == 40
    assert 0 < float(row["loss"]) < 1
    with Image.open(cli.here / "spiral.gif") as frames:
        assert frames.n_frames == 2
    assert (cli.here / "spiral.png").exists()


@pytest.mark.extended
@pytest.mark.slow
def test_flow_of_a_saved_spiral(cli):
    """A model of `--save-model` opens in a different process; `flow --model` draws 7 layers from 5 random states."""
    assert cli("neuralode", "spiral", "--iterations", "20", "--save-model", "out/spiral.keras").status == 0
    code = """
import pathlib, sys
import numpy as np
from gradcam_cli.models.model_files import load_model_file
model = load_model_file(pathlib.Path(sys.argv[1]), allow_unsafe=False)
print(model.layers[0].t_span, model(np.ones((3, 2), "float32")).shape)
"""
    opened = subprocess.run([sys.executable, "-c", code, cli.here / "out/spiral.keras"], capture_output=True, text=True)
    assert opened.stdout.split("\n")[0] == "(0.0, 2.0) (3, 2)"
    result = cli("neuralode", "flow", "--model", "out/spiral.keras", "--num-layers", "7", "--json")
    assert result.status == 0, result.stderr
    assert json.loads(result.stdout)["nfe_residual"] == 35


@pytest.mark.slow
def test_flow_of_images(cli, photo, tmp_path):
    """The paths start at the block inputs for two images."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 6, 3)), keras.layers.Conv2D(3, 3), ODEBlock(TanhConv(3), rtol=1e-2)])
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(2))
    model.save(tmp_path / "model.keras")
    images = [photo("a.png"), photo("b.png", seed=1)]
    arguments = ["--model", tmp_path / "model.keras", "--preprocess", "0..1", "--allow-unsafe-model"]
    result = cli("neuralode", "flow", *arguments, "--image", images[0], "--image", images[1], "--json")
    assert result.status == 0, result.stderr
    assert json.loads(result.stdout)["nfe_residual"] == 10
    assert cli("neuralode", "flow", *arguments, "--image", "missing.png").status == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gradcheck", "nothing"], "nothing"),
        (["flow", "-o", "flow.txt"], "expected a name ending in .png"),
        (["spiral", "--animation", "a.png"], "expected a name ending in .gif"),
        (["spiral", "--save-model", "a.h5"], "expected a name ending in .keras"),
        (["flow", "--image", "a.png"], "--image requires --model"),
    ],
)
def test_invalid_arguments_give_status_2(cli, arguments, message):
    result = cli("neuralode", *arguments)
    assert result.status == 2
    assert message in result.stderr
