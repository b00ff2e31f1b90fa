"""Limits and files of the results of `compare`, `evaluate`, `audit` and `report`, by hand."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gradcam_cli import Audit, EvaluationResults, Failure, GradcamError, report
from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.drift import compare_maps
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.pipeline.saved import COMPARABLE_KEYS, SavedMap


def saved(cam, index=0, truth=None):
    common = {**dict.fromkeys(COMPARABLE_KEYS, "x"), "input": "a.jpg", "class_index": index, "class_name": None}
    cam = np.asarray(cam, np.float32)
    return SavedMap({**common, "truth": truth}, cam / cam.max(), cam)


@pytest.fixture
def comparison(tmp_path):
    """Rank drifts 0, 2 and 0.4 (1 minus the correlations 1, -1 and 0.6 of the ranks); one class of three changes."""
    before = saved([[1, 2], [3, 4]])
    others = {
        "same": saved([[1, 2], [3, 4]]),
        "inverted": saved([[4, 3], [2, 1]], 1),
        "swapped": saved([[2, 1], [4, 3]]),
    }
    return Comparison(tmp_path, tmp_path, [compare_maps(name, before, each) for name, each in others.items()], [])


@pytest.mark.parametrize(
    ("limits", "messages"),
    [
        ({"rank": 0.81}, []),
        ({"rank": 0.79}, ["rank 0.8000 is above 0.79 (max_drift)"]),
        ("rank=0.79", ["rank 0.8000 is above 0.79 (max_drift)"]),
        (["rank=1", "class-change=0.3"], ["class-change 0.3333 is above 0.3 (max_drift)"]),
        ({"rank@max": 2}, []),
        ({"rank@max": 1.9, "class-change": 1}, ["max of rank 2.0000 is above 1.9 (max_drift)"]),
    ],
)
def test_drifts_beyond_a_limit_are_named(comparison, limits, messages):
    """The mean of the rank drifts is 0.8, and that of the changed classes 1/3."""
    assert comparison.check(limits) == messages


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"rnk": 1}, r"^max_drift rnk=1: expected one of class-change, rank"),
        ({"rank": None}, r"^max_drift rank=None: expected"),
        ("rank", r"^max_drift rank: expected"),
        ({"broken@max": 1}, r"^max_drift broken=1@max: broken is a fraction of the images"),
        ({"broken": 0}, r"^max_drift broken: no image has a known true class"),
    ],
)
def test_wrong_limits_are_usage_errors(comparison, limits, message):
    with pytest.raises(UsageError, match=message):
        comparison.check(limits)


def test_files_of_a_comparison(comparison, tmp_path):
    with comparison.save_csv(tmp_path / "drift.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["rank"]) for row in rows] == pytest.approx([0, 2, 0.4])
    suite = ElementTree.parse(comparison.save_junit(tmp_path / "drift.xml", {"rank": 0.5})).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")  # the one image, and the threshold
    with pytest.raises(UsageError, match=r"^path .*: expected a name ending in"):
        comparison.save_grid(tmp_path / "grid.txt")


def row(name, value, *, baseline=False):
    metadata = {"input": name, "layer": "conv", "class_index": 0, "class_name": None, "probability": 0.5}
    return MetricRow(metadata, "random" if baseline else "gradcam", baseline, {"deletion": value}, {})


@pytest.fixture
def results():
    values = {"a.png": 0.1, "b.png": 0.5, "c.png": 0.9}
    rows = [row(name, value) for name, value in values.items()] + [row("a.png", 0, baseline=True)]
    return EvaluationResults(["deletion"], (*rows, Failure("d.png", "cannot be read")))


@pytest.mark.parametrize(
    ("limits", "messages"),
    [
        ({"fail_under": {"deletion": 0.5}, "fail_above": {"deletion": 0.5}}, []),
        ({"fail_under": {"deletion": 0.51}}, ["deletion 0.500 (gradcam at conv) is below 0.51 (fail_under)"]),
        ({"fail_above": "deletion=0.8@max"}, ["max of deletion 0.900 (gradcam at conv) is above 0.8 (fail_above)"]),
    ],
)
def test_metrics_beyond_a_limit_are_named(results, limits, messages):
    """The mean of 0.1, 0.5 and 0.9 is 0.5; the baseline is exempt."""
    assert results.check(**limits) == messages


def test_a_limit_of_a_metric_that_was_not_computed_is_a_usage_error(results):
    with pytest.raises(UsageError, match=r"^fail_under road=1: expected one of deletion with a limit"):
        results.check(fail_under={"road": 1})


def test_files_of_an_evaluation(results, tmp_path):
    with results.save_csv(tmp_path / "rows.csv").open() as file:
        assert [float(each["deletion"]) for each in csv.DictReader(file)] == [0.1, 0.5, 0.9, 0]
    with results.save_summary_csv(tmp_path / "means.csv").open() as file:
        assert {each["method"]: float(each["mean"]) for each in csv.DictReader(file)} == {"gradcam": 0.5, "random": 0}
    path = results.save_junit(tmp_path / "tests.xml", fail_above={"deletion@max": 0.8})
    suite = ElementTree.parse(path).getroot()[0]
    assert {case.get("name") for case in suite if case.find("failure") is not None} == {
        "c.png",
        "fail_above deletion=0.8@max",
    }
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["d.png"]
    assert (results.save_plots(tmp_path / "plots") / "deletion.png").is_file()


def test_files_never_replace_an_image(results, comparison, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "a.png", "d.png"):
        Image.new("L", (4, 4)).save(name)
    for save, path in (
        (comparison.save_csv, "a.jpg"),
        (comparison.save_junit, "a.jpg"),
        (results.save_csv, "a.png"),
        (results.save_summary_csv, "d.png"),
        (results.save_junit, "d.png"),
    ):
        with pytest.raises(OutputError, match="is an input: it would be overwritten"):
            save(path)


def test_marks_beyond_a_limit():
    class OneMark(Audit):
        @property
        def marks(self):
            return [None]

    found = OneMark("model", "conv", ())
    assert found.check(1) == []
    assert found.check(max_marks=0) == ["number of marks: expected at most 0, got 1 (max_marks)"]


def test_report_of_a_run_counts_damaged_results(cli, photo, model_file):
    """The page has one of the two images; the line of the other is damaged."""
    for name in ("a", "b"):
        photo(f"in/{name}.png", seed=1, size=(20, 16))
    done = cli("../in", "--model", model_file, "--preprocess", "-1..1", "--save", "npz", "-o", "out", "--json")
    good, bad = done.lines
    (cli.here / "lines.jsonl").write_text(f"{good}\n{bad[:50]}\n")
    page = report("out", from_jsonl="lines.jsonl")
    assert page.num_invalid == 1
    assert "a.png" in page.path.read_text()
    assert json.loads(json.dumps(page.to_dict())) == {"path": str(page.path), "num_invalid": 1}
    done = cli("report", "out", "--from-jsonl", "lines.jsonl")
    assert (done.status, done.lines) == (1, [str(page.path)])


def test_report_of_an_audit(tmp_path):
    found = Audit("model", "conv", (), (Failure("<a>.png", "cannot be read"),))
    page = report(found, tmp_path / "audit")
    assert page.path == tmp_path / "audit/index.html"
    assert "&lt;a&gt;.png" in page.path.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing",), "missing: directory not found"),
        ((".", "other"), "directory: the report of a run is written into"),
        ((Audit("model", "conv", ()),), "directory: expected the directory of the page"),
        ((".",), "no"),
    ],
)
def test_wrong_reports_are_errors(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GradcamError, match=message):
        report(*arguments)
