"""`gradcam compare`: no drift between equal networks, drift of a changed network, errors."""

import csv
import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli.evaluation.compare_runs import compare_runs
from gradcam_cli.evaluation.plots import drift_grid

DRIFT_NAMES = ("class-change", "rank", "ssim", "top-iou", "peak-shift")


@pytest.fixture
def runs(cli, photo, model_file, tmp_path):
    """Maps of four images: of the small network twice, and with random weights in its second convolution."""
    for number in range(4):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    changed = small_network()
    rng = np.random.default_rng(0)
    layer = changed.get_layer("conv2")
    layer.set_weights([rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    changed.save(tmp_path / "changed.keras")

    def explain(directory, model, *options):
        words = ("--model", model, "--preprocess", "-1..1", "--save", "npz", "-o", directory, *options)
        result = cli(tmp_path / "in", *words)
        assert result.status == 0, result.stderr

    explain("before", model_file)
    explain("repeated", model_file)
    explain("changed", tmp_path / "changed.keras")
    cli.explain = explain
    cli.model_file = model_file
    return cli


def test_equal_networks_have_no_drift(runs):
    """Zero drift in every measure, and status 0 with the strictest thresholds."""
    thresholds = [word for name in DRIFT_NAMES for word in ("--max-drift", f"{name}=0.0000001")]
    result = runs("compare", "before", "repeated", "--json", *thresholds)
    assert (result.status, result.stderr) == (0, "")
    *lines, summary = map(json.loads, result.lines)
    assert [line["name"] for line in lines] == [f"{number}_gradcam.npz" for number in range(4)]
    assert all(line["top_iou"] == 1 and line["peak_shift"] == 0 for line in lines)
    assert all(line["schema_version"] == 2 and "keras" in line["versions"] for line in [*lines, summary])
    assert summary["maps"] == 4
    assert summary["drift"] == pytest.approx(dict.fromkeys(DRIFT_NAMES, 0), abs=1e-9)


def test_changed_network_has_drift(runs):
    """Drift in every measure of the maps, status 4 with the failed threshold, and a grid."""
    thresholds = ("--max-drift", "rank=0.05", "--max-drift", "class-change=1")
    result = runs("compare", "before", "changed", *thresholds, "--grid", "grid.png")
    assert result.status == 4
    assert result.stderr.count("\n") == 1
    assert re.fullmatch(r"FAILED: rank \d\.\d{4} is above 0.05 \(--max-drift\)\n", result.stderr)
    assert [line.split()[0] for line in result.lines[-6:]] == ["drift", *DRIFT_NAMES]
    with Image.open(runs.here / "grid.png") as grid:
        assert grid.size[0] > grid.size[1] / 4
    summary = json.loads(runs("compare", "before", "changed", "--json").lines[-1])
    assert all(summary["drift"][name] > 0 for name in ("rank", "ssim", "top-iou"))


def test_csv_and_junit_xml(runs):
    """One row and one test case per image; the images beyond a failed limit for single images fail."""
    (runs.here / "changed/3_gradcam.npz").write_bytes(b"PK damaged")
    *lines, summary = map(json.loads, runs("compare", "before", "changed", "--json").lines)
    drifts = {line["input"]: 1 - line["ssim"] for line in lines if line["status"] == "ok"}
    worst = max(drifts, key=drifts.get)
    limit = (sorted(drifts.values())[-1] + sorted(drifts.values())[-2]) / 2
    options = ("--max-drift", f"ssim={limit}@max", "--max-drift", f"ssim={limit}@q60", "--max-drift", "rank=2")
    result = runs("compare", "before", "changed", *options, "--csv", "drift.csv", "--junit-xml", "drift.xml")
    assert result.status == 4
    assert f"FAILED: max of ssim {drifts[worst]:.4f} is above {limit:g} (--max-drift)\n" in result.stderr
    assert result.stderr.count("FAILED") == 1
    with open(runs.here / "drift.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["input"]: float(row["ssim"]) for row in rows} == pytest.approx(drifts)
    assert [row["name"] for row in rows] == [f"{number}_gradcam.npz" for number in range(3)]
    assert float(rows[0]["rank"]) == pytest.approx(1 - lines[1]["rank"])
    root = ElementTree.parse(runs.here / "drift.xml").getroot()
    assert root.find("testsuite").attrib["name"] == "gradcam compare"
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert [name for name, case in cases.items() if case.find("failure") is not None] == [
        worst,
        f"--max-drift ssim={limit:g}@max",
    ]
    assert cases["3_gradcam.npz"].find("error").attrib["message"].startswith("cannot read changed/3_gradcam.npz")
    assert "rank " in cases[worst].find("system-out").text
    assert summary["failed"] == 1


def test_grid_names_the_drift_of_each_map(runs):
    comparison = compare_runs(runs.here / "before", runs.here / "changed")
    first, *_ = changes = comparison.most_changed(2)
    texts = [text.get_text() for text in drift_grid(changes, comparison.before, comparison.after).texts]
    heading = next(text for text in texts if text.startswith(first.input.rpartition("/")[2]))
    drifts = {name: value for name, value in first.drifts.items() if name != "class-change"}
    assert heading.splitlines()[1:] == [f"{name} {value:.3f}" for name, value in drifts.items()]


def test_broken_has_no_quantile(runs):
    result = runs("compare", "before", "repeated", "--max-drift", "broken=0@max")
    assert result.status == 2
    assert "--max-drift broken=0@max: broken is a fraction of the images" in result.stderr


def test_rank_is_spearmans_correlation_of_the_maps(runs):
    from scipy import stats

    line = json.loads(runs("compare", "before", "changed", "--json").lines[0])
    with np.load("before/0_gradcam.npz") as a, np.load("changed/0_gradcam.npz") as b:
        assert line["rank"] == pytest.approx(stats.spearmanr(a["cam"].ravel(), b["cam"].ravel()).statistic)
        metadata = json.loads(str(a["metadata"]))
    assert line["class_before"] == {"index": metadata["class_index"], "name": metadata["class_name"]}


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["--layer", "conv1"], "layer"),
        (["--score", "probability"], "score"),
        (["--counterfactual"], "counterfactual"),
    ],
)
def test_maps_with_different_settings_are_refused(runs, options, key):
    runs.explain("other", runs.model_file, *options)
    result = runs("compare", "before", "other")
    assert result.status == 2
    assert f"expected the same {key}" in result.stderr


def test_unmatched_maps_give_status_1(runs):
    (runs.here / "repeated/2_gradcam.npz").unlink()
    result = runs("compare", "before", "repeated", "--json")
    assert result.status == 1
    assert "2_gradcam.npz: in one run only" in result.stderr
    unmatched, *_, summary = map(json.loads, result.lines)
    assert (unmatched["name"], unmatched["status"], summary["unmatched"]) == ("2_gradcam.npz", "unmatched", 1)


def test_maps_of_different_methods_have_different_names(runs):
    """They are not compared, and the message says that the runs share no map."""
    runs.explain("other", runs.model_file, "--method", "layercam")
    result = runs("compare", "before", "other")
    assert result.status == 3
    assert "no result in common" in result.stderr


def test_nothing_to_compare_gives_status_3(runs):
    (runs.here / "empty").mkdir()
    assert runs("compare", "before", "empty").status == 3
    shutil.copy(runs.here / "before/0_gradcam.npz", runs.here / "empty/other.npz")
    result = runs("compare", "before", "empty")
    assert result.status == 3
    assert "no result in common" in result.stderr


def test_invalid_thresholds_and_damaged_maps_are_errors(runs):
    assert runs("compare", "before", "nowhere").status == 2
    for threshold in ("rank", "rank=x", "color=1", "rank=-1", "rank=nan"):
        result = runs("compare", "before", "repeated", "--max-drift", threshold)
        assert result.status == 2, threshold
        assert "class-change, rank" in result.stderr


def test_damaged_maps_do_not_affect_the_others(runs):
    """A damaged map gives an error and status 1; if all are damaged, status 3."""
    (runs.here / "before/1_gradcam.npz").write_bytes(b"PK damaged")
    result = runs("compare", "before", "repeated", "--json")
    assert result.status == 1
    assert "error: cannot read before/1_gradcam.npz" in result.stderr
    damaged, *compared, summary = map(json.loads, result.lines)
    assert (damaged["name"], damaged["status"], summary["failed"]) == ("1_gradcam.npz", "failed", 1)
    assert [line["name"] for line in compared] == [f"{number}_gradcam.npz" for number in (0, 2, 3)]
    for path in (runs.here / "before").iterdir():
        path.write_bytes(b"PK damaged")
    assert runs("compare", "before", "repeated").status == 3


def test_grid_draws_maps_of_missing_images_alone(runs, tmp_path):
    """Without its image a map is drawn alone."""
    assert runs("compare", "before", "changed", "--grid", "with.png", "--top", "1").status == 0
    shutil.rmtree(tmp_path / "in")
    assert runs("compare", "before", "changed", "--grid", "without.png", "--top", "1").status == 0
    assert (runs.here / "with.png").read_bytes() != (runs.here / "without.png").read_bytes()


def test_model_gives_the_same_lines_as_its_directory(runs, tmp_path):
    """The same network has no drift; the changed one has that of its saved maps."""
    assert runs("compare", "before", runs.model_file, "--preprocess", "-1..1", "--max-drift", "rank=1e-9").status == 0
    by_directory = runs("compare", "before", "changed", "--json")
    model = tmp_path / "changed.keras"
    by_model = runs("compare", "before", model, "--preprocess", "-1..1", "--json", "--grid", "grid.png")
    assert by_model.lines == by_directory.lines
    assert (runs.here / "grid.png").exists()
    assert not list(tmp_path.glob("gradcam-*"))


def test_model_uses_the_settings_of_the_baseline(runs):
    """Layers, methods, classes and settings of the saved maps."""
    options = ["--layer", "conv1", "--layer", "conv2", "--method", "layercam", "--method", "saliency"]
    options += ["--class", "1", "--class", "top2", "--fit", "crop", "--interpolation", "nearest"]
    runs.explain("many", runs.model_file, *options)
    result = runs("compare", "many", runs.model_file, "--preprocess", "-1..1", "--json")
    assert (result.status, result.stderr) == (0, "")
    summary = json.loads(result.lines[-1])
    assert summary["maps"] == 4 * 3 * 3
    assert summary["drift"] == pytest.approx(dict.fromkeys(DRIFT_NAMES, 0), abs=1e-9)


def test_missing_and_changed_images_are_reported(runs, photo, tmp_path):
    """The maps of the other images are compared."""
    (tmp_path / "in/0.png").unlink()
    photo("in/1.png", seed=99, size=(30, 24))
    result = runs("compare", "before", runs.model_file, "--preprocess", "-1..1", "--json")
    assert result.status == 1
    assert "0.png:" in result.stderr
    assert "1.png:" in result.stderr
    assert json.loads(result.lines[-1])["maps"] == 2


def test_second_argument_must_be_maps_or_a_model(runs):
    result = runs("compare", "before", "nothing")
    assert result.status == 2
    assert "directory of results or a model" in result.stderr
