"""`gradcam neuralode train`, `evaluate` and `explain` as they are typed."""

import json

import numpy as np
import pytest
import tensorflow as tf
from halves import halves
from PIL import Image


@pytest.fixture(scope="session")
def halves_file(tmp_path_factory):
    data, path = halves(96), tmp_path_factory.mktemp("halves") / "halves.npz"
    np.savez(
        path,
        x_train=data.x_train,
        y_train=data.y_train,
        x_test=data.x_train[:20],
        y_test=data.y_train[:20],
        labels=["left", "right"],
    )
    return path


@pytest.fixture(scope="session")
def model(halves_file, tmp_path_factory):
    """A small ODE-Net, trained through the command, and what the command said."""
    from click.testing import CliRunner

    from gradcam_cli.cli import gradcam

    folder = tmp_path_factory.mktemp("trained")
    words = ["neuralode", "train", "--data", halves_file, "--epochs", 6, "--batch-size", 16, "--crop", 1]
    words += ["--learning-rate", 0.05, "-o", folder / "net.keras", "--log", folder / "log.csv"]
    words += ["--tensorboard", folder / "board", "--samples", folder / "samples", "--validation", 0.1, "--json"]
    result = CliRunner().invoke(gradcam, [str(word) for word in words])
    assert (result.exit_code, result.stderr) == (0, ""), result.stderr
    return folder, json.loads(result.stdout)


@pytest.mark.slow
def test_train_says_and_writes_all(model):
    folder, row = model
    assert row["test_accuracy"] == 1
    assert row["epochs"] == 6
    assert row["backward"] > 1
    assert len((folder / "log.csv").read_text().splitlines()) == 7
    (events,) = (folder / "board").iterdir()
    seen = [
        (event.step, value.tag)
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert [step for step, tag in seen if tag == "validation_loss"] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["left.png", "right.png"]
    assert not (folder / "net.checkpoint.npz").exists()


@pytest.mark.slow
def test_evaluate_measures(cli, model, halves_file):
    """Accuracy, classes, confusion, and the same under other solvers."""
    folder, _ = model
    words = ["neuralode", "evaluate", folder / "net.keras", "--data", halves_file]
    done = cli(*words, "--json", "--confusion", "c.png")
    assert (done.status, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["test_accuracy"] == 1
    assert found["confusion"] == [[10, 0], [0, 10]]
    assert [row["class"] for row in found["classes"]] == ["left", "right"]
    assert found["solvers"][0]["solver"] == "dopri5 as trained"
    tight = next(row for row in found["solvers"] if row["solver"] == "dopri5 at 1e-5")
    assert tight["evaluations"] >= found["forward_evaluations"]
    assert next(row for row in found["solvers"] if row["solver"] == "euler, one step")["evaluations"] == 1
    assert Image.open(cli.here / "c.png").size[0] > 300
    text = cli(*words, "--one-solver")
    assert "right" in text.stdout
    assert "tsit5" not in text.stdout


@pytest.mark.slow
def test_evaluate_refuses_other_data(cli, model):
    done = cli("neuralode", "evaluate", model[0] / "net.keras", "--data", "digits")
    assert done.status == 2
    assert "of 2 classes, as the model was trained on, got (8, 8, 1) of 10" in done.stderr


@pytest.mark.slow
def test_evaluate_warns_of_a_network_that_is_no_ode(cli, model, halves_file, monkeypatch):
    """Where another solver answers otherwise, it is said."""
    from gradcam_cli.neuralode.training import solver_check

    def moved(model, block, x, y, *ways):
        score = solver_check.evaluate(model, x, y)
        return score, [
            solver_check.SolverResult("as trained", 1.0, 0.0, 14),
            solver_check.SolverResult("tsit5 at 1e-3", 0.99, -0.01, 14),
        ]

    monkeypatch.setattr(solver_check, "evaluate_with_solvers", moved)
    done = cli("neuralode", "evaluate", model[0] / "net.keras", "--data", halves_file)
    assert "moves by -1.00 points under tsit5" in done.stderr


@pytest.mark.slow
def test_explain_along_depth(cli, model):
    """A strip, an animation and arrays for each image, and a JSON line with every depth."""
    folder, _ = model
    done = cli(
        "neuralode", "explain", folder / "samples", "--model", folder / "net.keras", "--at", "0,0.5,1", "--json",
        *("--save", "strip", "--save", "gif", "--save", "apng", "--save", "npz", "-o", "out"),
    )  # fmt: skip
    assert (done.status, done.stderr) == (0, "")
    records = [json.loads(line) for line in done.lines]
    assert [record["class_name"] for record in records] == ["left", "right"]
    for record in records:
        assert [depth["t"] for depth in record["depths"]] == [0, 0.5, 1]
        assert all(depth["sensitivity"] > 0 for depth in record["depths"])
        assert record["layer"] == "ode"
        with np.load(record["outputs"]["npz"]) as arrays:
            assert arrays["map"].shape == (3, 8, 8)
            assert arrays["raw"].shape == (3, 6, 6)
            assert arrays["alpha"].shape == (3, 64)
            np.testing.assert_allclose(arrays["sensitivity"], [depth["sensitivity"] for depth in record["depths"]])
        for kind, form in (("gif", "GIF"), ("apng", "PNG")):
            with Image.open(record["outputs"][kind]) as frames:
                assert (frames.format, frames.n_frames) == (form, 3)
        assert record["outputs"]["strip"].endswith("_gradcam_depth.png")


@pytest.mark.slow
def test_explain_to_one_file(cli, model):
    folder, _ = model
    image, net = folder / "samples/left.png", folder / "net.keras"
    done = cli(
        "neuralode", "explain", image, "-m", net, "--frames", 3, "-c", "right", "-o", "a.gif", "--method", "hirescam"
    )
    assert done.status == 0
    assert done.stdout.startswith(f"{image}: 1 right (")
    assert Image.open(cli.here / "a.gif").n_frames == 3


@pytest.mark.slow
def test_the_main_command_explains_it(cli, model):
    """At any layer, with its own labels and scaling, without custom_objects; f's layers are not offered."""
    folder, _ = model
    for layer in ("stem_conv0", "ode", "auto"):
        done = cli(folder / "samples/left.png", "--model", folder / "net.keras", "--layer", layer, "--json")
        assert (done.status, done.stderr) == (0, "")
        assert json.loads(done.stdout)["class_name"] == "left"
    listed = cli("layers", folder / "net.keras").stdout
    assert "ode " in listed
    assert "ode/f" not in listed


@pytest.mark.slow
def test_the_main_commands_measures_work_on_it(cli, model):
    folder, _ = model
    done = cli("evaluate", folder / "samples", "--model", folder / "net.keras", "--layer", "ode", "--json")
    assert (done.status, done.stderr) == (0, "")
    cli(folder / "samples", "--model", folder / "net.keras", "--save", "npz", "-o", "before")
    done = cli("compare", "before", folder / "net.keras", "--max-drift", "rank=0.01", "--json")
    assert (done.status, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--data", "letters", "-o", "a.keras"], "--data letters: expected digits"),
        (["train", "--data", "digits", "-o", "a.h5"], "expected a name ending in .keras"),
        (["train", "--data", "digits", "-o", "a.keras", "--stem", "5"], "5 strided convolutions"),
        (["train", "--data", "digits", "-o", "a.keras", "--early-stop", "2"], "held out"),
        (["explain", "a.png", "--model", "a.keras", "--at", "0,x"], "expected depths such as"),
        (["explain", "a.png", "--model", "a.keras", "--at", "0", "--frames", "3"], "expected one of them"),
        (["explain", "a.png", "b.png", "--model", "a.keras", "-o", "a.gif"], "expected one input"),
        (["explain", "a.png", "--model", "a.keras", "-c", "top3"], "expected one class"),
        (["explain", "a.png", "--model", "a.keras", "-o", "a.gif", "--save", "npz"], "name a directory"),
        (["evaluate", "a.keras", "--data", "digits", "--confusion", "c.gif"], "expected a name ending in"),
    ],
)
def test_invalid_arguments(cli, words, said):
    done = cli("neuralode", *words)
    assert done.status == 2
    assert said in done.stderr


def test_models_that_are_not_there(cli):
    for words in (["evaluate", "a.keras", "--data", "digits"], ["explain", "a.png", "--model", "a.keras"]):
        done = cli("neuralode", *words)
        assert done.status == 3
        assert "expected a .keras or .h5 file, found none there" in done.stderr


@pytest.mark.slow
def test_digits(cli):
    """The built-in digits: 97 % of the test images, as `make demo` shows."""
    done = cli("neuralode", "train", "--data", "digits", "-o", "digits.keras", "--json")
    assert done.status == 0, done.stderr
    assert json.loads(done.stdout)["test_accuracy"] >= 0.97
