"""`gradcam evaluate --metric family:...`: the table and its notes, JSON, CSV, plots and thresholds."""

import csv
import json

import pytest

from gradcam_cli import evaluate as evaluate_in_python
from gradcam_cli import load_model
from gradcam_cli.errors import UsageError


@pytest.fixture
def evaluate(cli, photo, model_file):
    """Run the command on two images."""
    for number in range(2):
        photo(f"in/{number}.png", seed=number, size=(30, 24))

    def call(*options):
        images = cli.here.parent / "in"
        return cli("evaluate", images, "--model", model_file, "--preprocess", "-1..1", "--layer", "conv2", *options)

    call.here = cli.here
    call.images = sorted((cli.here.parent / "in").iterdir())
    return call


def test_family_in_table_files_and_thresholds(evaluate):
    """Complexity, from the command to each output; the limits belong to a metric of the family and to another."""
    result = evaluate(
        *("--metric", "family:complexity", "--csv", "values.csv", "--plots", "plots"),
        *("--fail-above", "entropy=0.1", "--fail-under", "increase-in-confidence=0"),
    )
    assert result.status == 4
    assert result.stderr.startswith("FAILED: entropy ")
    rows = list(csv.DictReader((evaluate.here / "values.csv").open()))
    assert list(rows[0])[-4:] == ["increase-in-confidence", "entropy", "gini", "effective-complexity"]
    assert len(rows) == 6
    assert all(0 < float(row["gini"]) < 1 for row in rows)
    assert (evaluate.here / "plots/gini.png").exists()


def test_methods_without_a_value_are_named_and_counted(evaluate):
    """Completeness belongs to integrated gradients; the table has no number for Grad-CAM, and a line says why."""
    options = ("--metric", "completeness", "--method", "gradcam", "--method", "integrated-gradients")
    printed = " ".join(evaluate(*options).stdout.split())
    assert (
        "completeness has no value for gradcam at conv2 (2 of 2): only integrated-gradients sums to a score difference"
    ) in printed
    summary = json.loads(evaluate(*options, "--json").lines[-1])
    means = {mean["method"]: mean["completeness"] for mean in summary["mean_metrics"]}
    assert means.pop("integrated-gradients") < 1
    assert means == {"gradcam": None, "random": None, "center": None}
    assert summary["undefined"] == [
        {"metric": "completeness", "layer": "conv2", "method": "gradcam", "undefined": 2, "maps": 2}
    ]


def test_python_has_the_numbers_of_the_command(evaluate, model_file):
    metrics = ["family:robustness", "random-logit"]
    done = evaluate("--metric", metrics[0], "--metric", metrics[1], "--seed", "5", "--json")
    printed = [json.loads(line)["metrics"] for line in done.lines[:-1]]
    classifier = load_model(str(model_file), preprocess="-1..1")
    found = evaluate_in_python(evaluate.images, classifier, metrics=metrics, layers="conv2", seed=5)
    assert len(printed) == len(found.rows) == 6
    for row, values in zip(found.rows, printed, strict=True):
        assert row.values == pytest.approx(values, abs=1e-4, rel=1e-4)
    with pytest.raises(UsageError, match="family:localization requires annotations"):
        evaluate_in_python(evaluate.images, classifier, metrics="family:localization")


def test_families_that_do_not_exist_are_refused(evaluate):
    result = evaluate("--metric", "family:beauty")
    assert result.status == 2
    assert "family:complexity" in result.stderr
