"""The commands `gradcam neuralode train`, `evaluate` and `explain`, run in process."""

import json

import numpy as np
import pytest
import tensorflow as tf
from doc_blocks import messages
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
def trained(halves_file, tmp_path_factory):
    """A folder with a small ODE-Net, trained with the command, and the JSON record of the command."""
    from click.testing import CliRunner

    from gradcam_cli.cli import gradcam

    folder = tmp_path_factory.mktemp("trained")
    arguments = ["neuralode", "train", "--data", halves_file, "--epochs", 6, "--batch-size", 16, "--random-shift", 1]
    arguments += ["--learning-rate", 0.05, "-o", folder / "net.keras", "--csv-log", folder / "log.csv"]
    arguments += ["--tensorboard", folder / "events", "--export-samples", folder / "samples"]
    arguments += ["--validation-split", 0.1, "--json"]
    result = CliRunner().invoke(gradcam, [str(argument) for argument in arguments])
    assert (result.exit_code, messages(result.stderr)) == (0, ""), result.stderr
    return folder, json.loads(result.stdout)


@pytest.mark.slow
def test_train_writes_record_log_events_and_samples(trained):
    folder, record = trained
    assert record["schema_version"] == 2
    assert "keras" in record["versions"]
    assert record["test_accuracy"] == 1
    assert record["epochs"] == 6
    assert record["nfe_backward"] > 1
    assert len((folder / "log.csv").read_text().splitlines()) == 7
    (events,) = (folder / "events").iterdir()
    values = [
        (event.step, value.tag)
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    ]
    assert [step for step, tag in values if tag == "validation_loss"] == [1, 2, 3, 4, 5, 6]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["left.png", "right.png"]
    assert (folder / "net.checkpoint.npz").exists()
    assert [row["recall"] for row in record["classes"]] == [1, 1]
    assert record["chance_accuracy"] == 0.5


@pytest.mark.extended
@pytest.mark.slow
def test_evaluate_reports_classes_and_solvers(cli, trained, halves_file):
    """The record contains accuracy, classes, confusion matrix, and the results with four other solvers."""
    folder, _ = trained
    arguments = ["neuralode", "evaluate", folder / "net.keras", "--data", halves_file]
    result = cli(*arguments, "--json", "--confusion", "c.png")
    assert (result.status, result.stderr) == (0, "")
    record = json.loads(result.stdout)
    assert record["schema_version"] == 2
    assert record["test_accuracy"] == 1
    assert record["confusion"] == [[10, 0], [0, 10]]
    assert [(row["class"], row["correct"]) for row in record["classes"]] == [("left", 10), ("right", 10)]
    solvers = [(row["solver"], row["tol"], row["steps"], row["as_trained"]) for row in record["solvers"]]
    assert solvers == [
        ("dopri5", 1e-3, None, True),
        ("dopri5", 1e-5, None, False),
        ("tsit5", 1e-3, None, False),
        ("rk4", None, 4, False),
        ("euler", None, 1, False),
    ]
    assert record["solvers"][0]["nfe"] == record["nfe_forward"] <= record["solvers"][1]["nfe"]
    assert record["solvers"][4]["nfe"] == 1
    assert Image.open(cli.here / "c.png").size[0] > 300
    assert "accuracy change" in cli(*arguments).stdout
    text = cli(*arguments, "--no-solver-check").stdout
    assert "correct" in text
    assert "tsit5" not in text


@pytest.mark.slow
def test_evaluate_requires_matching_data(cli, trained):
    result = cli("neuralode", "evaluate", trained[0] / "net.keras", "--data", "digits")
    assert result.status == 2
    assert "requires images of shape (8, 8, 1) and 2 classes, got (8, 8, 1) and 10 classes" in result.stderr


@pytest.mark.slow
def test_evaluate_warns_of_solver_dependence(cli, trained, halves_file, monkeypatch):
    """An accuracy change of one percentage point is reported on standard error."""
    from gradcam_cli.neuralode.training import solver_check

    def evaluate_with_solvers(model, block, x, y, variants):
        results = [("dopri5", 1e-3, None, True, 1.0, 0.0, 14), ("tsit5", 1e-3, None, False, 0.99, -0.01, 14)]
        return solver_check.evaluate(model, x, y), [solver_check.SolverResult(*result) for result in results]

    monkeypatch.setattr(solver_check, "evaluate_with_solvers", evaluate_with_solvers)
    result = cli("neuralode", "evaluate", trained[0] / "net.keras", "--data", halves_file)
    assert "changes by -1.00 points with tsit5, tolerance 0.001" in result.stderr


@pytest.mark.slow
def test_explain_writes_all_kinds_of_files(cli, trained):
    """Each image has a figure, two animations, arrays, and a JSON record with every depth."""
    folder, _ = trained
    result = cli(
        "neuralode", "explain", folder / "samples", "--model", folder / "net.keras", "--times", "0,0.5,1", "--json",
        *("--save", "figure", "--save", "gif", "--save", "apng", "--save", "npz", "-o", "out"),
    )  # fmt: skip
    assert (result.status, result.stderr) == (0, "")
    records = [json.loads(line) for line in result.lines]
    assert [record["class_name"] for record in records] == ["left", "right"]
    for record in records:
        assert (record["layer"], record["tol"]) == ("ode", 1e-5)
        assert [depth["t"] for depth in record["depths"]] == [0, 0.5, 1]
        norms = [depth["adjoint_norm"] for depth in record["depths"]]
        assert min(norms) > 0
        with np.load(record["outputs"]["npz"]) as arrays:
            assert arrays["heatmap"].shape == (3, 8, 8)
            assert arrays["cam"].shape == arrays["cam_pre_relu"].shape == (3, 6, 6)
            assert "alpha" not in arrays
            np.testing.assert_allclose(arrays["adjoint_norm"], norms)
            probabilities = [depth["head_probability"] for depth in record["depths"]]
            np.testing.assert_allclose(arrays["head_probability"], probabilities)
            assert probabilities[-1] == pytest.approx(record["probability"], abs=1e-6)
            assert json.loads(str(arrays["metadata"]))["method"] == record["method"] == "flow"
        for kind, image_format in (("gif", "GIF"), ("apng", "PNG")):
            with Image.open(record["outputs"][kind]) as frames:
                assert (frames.format, frames.n_frames) == (image_format, 3)
        assert record["outputs"]["figure"].endswith("_gradcam_depth.png")


@pytest.mark.extended
@pytest.mark.slow
def test_explain_writes_a_single_animation(cli, trained):
    folder, _ = trained
    image = folder / "samples/left.png"
    options = ["-m", folder / "net.keras", "--num-times", 3, "-c", "right", "--method", "hirescam"]
    result = cli("neuralode", "explain", image, *options, "-o", "a.gif")
    assert result.status == 0
    assert result.stdout.startswith(f"{image}: 1 right (")
    assert Image.open(cli.here / "a.gif").n_frames == 3


@pytest.mark.extended
@pytest.mark.slow
def test_explain_reports_damaged_images(cli, trained):
    """A damaged image is a failure of this image: exit status 1, a JSON record, and an entry of the report."""
    folder, _ = trained
    (cli.here / "bad.png").write_bytes(b"damaged")
    images = [folder / "samples/left.png", "bad.png"]
    result = cli("neuralode", "explain", *images, "-m", folder / "net.keras", "--json", "--report", "-o", "out")
    assert result.status == 1
    assert "error: bad.png" in result.stderr
    assert [json.loads(line)["status"] for line in result.lines] == ["ok", "failed"]
    assert (cli.here / "out/index.html").exists()
    lines = [json.loads(line) for line in (cli.here / "out/report/run.jsonl").read_text().splitlines()]
    reports = [line["report"] for line in lines if "report" in line]
    assert [len(report["map_images"]) for report in reports] == [5]
    assert list(reports[0]["files"]) == ["figure"]


@pytest.mark.slow
def test_main_command_explains_a_trained_classifier(cli, trained):
    """`gradcam` explains any layer without custom objects; the layers inside f are hidden."""
    folder, _ = trained
    for layer in ("stem_conv0", "ode", "auto"):
        result = cli(folder / "samples/left.png", "--model", folder / "net.keras", "--layer", layer, "--json")
        assert (result.status, result.stderr) == (0, "")
        assert json.loads(result.stdout)["class_name"] == "left"
    layers = cli("layers", folder / "net.keras").stdout
    assert "ode " in layers
    assert "ode/f" not in layers


@pytest.mark.extended
@pytest.mark.slow
def test_main_commands_evaluate_and_compare_a_trained_classifier(cli, trained):
    folder, _ = trained
    result = cli("evaluate", folder / "samples", "--model", folder / "net.keras", "--layer", "ode", "--json")
    assert (result.status, result.stderr) == (0, "")
    cli(folder / "samples", "--model", folder / "net.keras", "--save", "npz", "-o", "before")
    result = cli("compare", "before", folder / "net.keras", "--max-drift", "rank=0.01", "--json")
    assert (result.status, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--data", "letters", "-o", "a.keras"], "--data letters: expected digits"),
        (["train", "--data", "digits", "-o", "a.h5"], "expected a name ending in .keras"),
        (["train", "--data", "digits", "-o", "a.keras", "--downsampling-layers", "5"], "5 strided convolutions"),
        (["train", "--data", "digits", "-o", "a.keras", "--patience", "2"], "requires validation images"),
        (["explain", "a.png", "--model", "a.keras", "--times", "0,x"], "expected depths such as"),
        (["explain", "a.png", "--model", "a.keras", "--times", "0", "--num-times", "3"], "exclude each other"),
        (["explain", "a.png", "b.png", "--model", "a.keras", "-o", "a.gif"], "expected one input"),
        (["explain", "a.png", "--model", "a.keras", "-c", "top3"], "expected one class"),
        (["explain", "a.png", "--model", "a.keras", "-o", "a.gif", "--save", "npz"], "use a directory"),
        (["evaluate", "a.keras", "--data", "digits", "--confusion", "c.gif"], "expected a name ending in"),
    ],
)
def test_invalid_arguments_give_status_2(cli, arguments, message):
    result = cli("neuralode", *arguments)
    assert result.status == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    "arguments", [["evaluate", "a.keras", "--data", "digits"], ["explain", "a.png", "--model", "a.keras"]]
)
def test_missing_model_file_gives_status_3(cli, arguments):
    result = cli("neuralode", *arguments)
    assert result.status == 3
    assert "a.keras" in result.stderr


@pytest.mark.extended
def test_accuracy_on_digits(cli):
    """The default training on the built-in digits reaches an accuracy of 97 % on the test images."""
    result = cli("neuralode", "train", "--data", "digits", "-o", "digits.keras", "--json")
    assert result.status == 0, result.stderr
    assert json.loads(result.stdout)["test_accuracy"] >= 0.97
