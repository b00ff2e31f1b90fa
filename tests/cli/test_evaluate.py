"""`gradcam evaluate`: tables, JSON, files, thresholds, errors."""

import csv
import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.evaluation.bootstrap import mean_intervals

OPTIONS = ("--preprocess", "-1..1", "--layer", "conv2", "--steps", "3", "--deletion-baseline", "mean")


@pytest.fixture
def evaluate(cli, photo, model_file):
    """Run the command on a directory of four images."""
    for number in range(4):
        photo(f"in/{number}.png", seed=number, size=(30, 24))

    def call(*options, inputs=None):
        return cli("evaluate", *(inputs or [cli.here.parent / "in"]), "--model", model_file, *OPTIONS, *options)

    call.here = cli.here
    return call


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    return path


@pytest.fixture
def boxes(tmp_path):
    """Annotations of three images: class 0 in two, classes 1 and 2 in one; the model has no class names."""
    categories = [{"id": number, "name": f"thing{number}"} for number in range(3)]
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(3)]
    objects = [(0, 0, [0, 0, 15, 24]), (1, 0, [5, 5, 10, 10]), (2, 1, [0, 0, 30, 24]), (2, 2, [0, 0, 30, 24])]
    annotations = [{"id": i, "image_id": a, "category_id": c, "bbox": box} for i, (a, c, box) in enumerate(objects)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return path


def explained_classes(result):
    """Return the class of every JSON line but the summary."""
    return [json.loads(line)["class_index"] for line in result.lines[:-1]]


def test_each_metric_is_a_table(evaluate):
    """With a mean per method and baseline; four images have neither intervals nor ranks."""
    result = evaluate()
    assert (result.status, result.stderr) == (0, "")
    tables = [table.splitlines() for table in result.stdout.split("\n\n")]
    directions = {"average-drop": "lower", "increase-in-confidence": "higher", "deletion": "lower"}
    directions |= {"insertion": "higher", "road": "higher"}
    assert [table[0] for table in tables[:5]] == [f"{name} ({side} is better)" for name, side in directions.items()]
    for table in tables[:5]:
        assert table[1].split("  ")[0] == "rank"
        assert {line.split()[1] for line in table[2:]} == {"gradcam", "random", "center"}
        assert all(line.startswith("   -  ") and line.endswith("  -                   4") for line in table[2:]), table
    assert tables[5][0] == "fewer than 5 images: no intervals and no ranks"
    assert max(map(len, result.lines)) <= 80


def test_intervals_and_ranks(evaluate, photo, tmp_path):
    """Of the values of each image, which are printed as JSON; the text shows the same, the best map first."""
    for number in range(4, 8):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    options = ("--metric", "deletion", "--metric", "insertion", "--method", "layercam", "--seed", "3")
    files = ("--summary-csv", "means.csv", "--csv", "values.csv")
    *lines, summary = map(json.loads, evaluate(*options, "--json").lines)
    layercam = summary["mean_metrics"][0]
    values = np.array([line["metrics"]["deletion"] for line in lines if line["method"] == "layercam"])
    low, high = layercam["intervals"]["deletion"]
    assert (low, high) == pytest.approx(mean_intervals(values[:, None], seed=3)[0])
    assert (layercam["images"], layercam["deletion"]) == ({"deletion": 8, "insertion": 8}, pytest.approx(values.mean()))
    assert summary["agreement"]["metrics"] == 2
    text = evaluate(*options, *files)
    assert text.status == 0
    rank, mean = layercam["ranks"]["deletion"], layercam["deletion"]
    row = f"{rank} layercam {mean:.3f} {low:.3f} to {high:.3f} 8"
    assert row in [" ".join(line.split()) for line in text.lines]
    ranks = [line.split()[0] for line in text.lines if line.endswith(" 8")]
    assert ranks[:3] == sorted(ranks[:3])
    with open(evaluate.here / "means.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3
    assert (rows[0]["metric"], rows[0]["method"], rows[0]["images"]) == ("deletion", "layercam", "8")
    assert (float(rows[0]["low"]), float(rows[0]["high"])) == pytest.approx((low, high))
    assert rows[0]["rank"] == str(rank)


def test_maps_that_are_not_better_than_a_baseline_come_last(evaluate, photo):
    """The center prior in the place of a method is a baseline; a random map differs from none."""
    for number in range(4, 8):
        photo(f"in/{number}.png", seed=number, size=(30, 24))
    *_, summary = map(json.loads, evaluate("--metric", "average-drop", "--json").lines)
    text = evaluate("--metric", "average-drop").stdout
    for below in summary["below_baselines"]:
        verb = "is worse than" if below["worse"] else "does not differ from"
        assert f"gradcam {verb} the baseline {below['baseline']}: average-drop\n" in text
    better = {"random", "center"} - {below["baseline"] for below in summary["below_baselines"]}
    assert all(f"baseline {name}" not in text for name in better)


def test_json_lines_and_summary(evaluate):
    """One line per map, and a summary with their means."""
    metrics = ("--metric", "average-drop", "--metric", "deletion")
    result = evaluate("--json", "--method", "layercam", *metrics)
    assert (result.status, result.stderr) == (0, "")
    *lines, summary = map(json.loads, result.lines)
    assert [line["method"] for line in lines] == ["layercam", "random", "center"] * 4
    assert all(list(line["metrics"]) == ["average-drop", "deletion"] and line["relu"] for line in lines)
    assert all(line["schema_version"] == 2 and "keras" in line["versions"] for line in [*lines, summary])
    drops = [line["metrics"]["average-drop"] for line in lines if line["method"] == "layercam"]
    assert summary["mean_metrics"][0]["average-drop"] == pytest.approx(sum(drops) / 4)
    assert (summary["status"], summary["images"], summary["failed"]) == ("summary", 4, 0)
    assert lines[0]["curves"]["deletion"][0] == pytest.approx(lines[0]["probability"], abs=1e-5)


def test_annotated_classes_are_evaluated(evaluate, boxes):
    """One line per image and annotated class; an image without annotations is ignored with a warning."""
    metrics = ("--metric", "pointing-game", "--metric", "energy-pointing-game")
    result = evaluate("--annotations", boxes, *metrics, "--json")
    assert result.status == 0
    assert "without an annotation of a class of the model: 1" in result.stderr
    *lines, _ = map(json.loads, result.lines)
    gradcam = [line for line in lines if line["method"] == "gradcam"]
    assert [(line["input"][-5], line["class_index"]) for line in gradcam] == [("0", 0), ("1", 0), ("2", 1), ("2", 2)]
    assert all(line["metrics"]["energy-pointing-game"] == pytest.approx(1) for line in gradcam[2:])
    uniform = [line["metrics"] for line in lines if line["method"] == "uniform"]
    assert uniform[0]["energy-pointing-game"] == pytest.approx(0.5, abs=0.01)
    assert uniform[0]["pointing-game"] is None


def test_class_option_selects_an_annotated_class(evaluate, boxes):
    result = evaluate("--annotations", boxes, "--class", "2", "--metric", "energy-pointing-game", "--json")
    assert explained_classes(result) == [2] * 4
    assert "annotated classes" in result.stderr
    assert "2 (thing0, thing1)" in result.stderr
    assert evaluate("--annotations", boxes, "--class", "top").status == 2


def test_class_map_replaces_the_matching_by_name(evaluate, boxes, tmp_path):
    class_map = tmp_path / "map.csv"
    class_map.write_text("thing0,2\n")
    options = ("--annotations", boxes, "--class-map", class_map, "--metric", "energy-pointing-game", "--json")
    assert explained_classes(evaluate(*options)) == [2] * 8
    class_map.write_text("other,2\n")
    result = evaluate(*options)
    assert result.status == 3
    assert "none of 4 images" in result.stderr
    assert "--class-map" in result.stderr


def test_failed_threshold_gives_status_4(evaluate):
    """The message contains the threshold and the mean; passed thresholds give status 0."""
    thresholds = ("--fail-under", "insertion=1.1", "--fail-above", "average-drop=1")
    result = evaluate("--metric", "average-drop", *thresholds)
    assert result.status == 4
    assert result.stderr.count("\n") == 1
    assert "FAILED: insertion 0." in result.stderr
    assert result.stderr.endswith(" (gradcam at conv2) is below 1.1 (--fail-under)\n")
    assert [line.split()[0] for line in result.lines if "is better)" in line] == ["average-drop", "insertion"]
    assert evaluate("--fail-above", "insertion=1.1", "--fail-under", "average-drop=0").status == 0


def test_baselines_and_maps_without_relu_are_exempt_from_thresholds(evaluate):
    """The only map that counts drops less than the threshold; a random map and the map without ReLU drop more."""
    lines = evaluate("--metric", "average-drop", "--also-without-relu", "--json").lines
    means = {(mean["method"], mean["relu"]): mean["average-drop"] for mean in json.loads(lines[-1])["mean_metrics"]}
    assert set(means) == {("gradcam", True), ("gradcam", False), ("random", True), ("center", True)}
    threshold = f"average-drop={means['gradcam', True] + 1e-6}"
    assert max(means.values()) > means["gradcam", True] + 1e-6
    assert evaluate("--also-without-relu", "--fail-above", threshold).status == 0


def test_csv_plots_and_junit_xml(evaluate, broken, tmp_path):
    """One row per map, one plot per metric, one test case per image and threshold."""
    options = ("--csv", "out/a.csv", "--plots", "plots", "--junit-xml", "a.xml", "--sanity-check")
    result = evaluate(*options, "--fail-above", "average-drop=0", inputs=[tmp_path / "in", broken])
    assert result.status == 4
    assert "broken.png: not an image" in result.stderr
    with open(evaluate.here / "out/a.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3
    assert 0 <= float(rows[0]["deletion"]) <= 1
    assert (rows[0]["method"], rows[0]["relu"], rows[0]["baseline"]) == ("gradcam", "1", "0")
    names = {"average-drop", "increase-in-confidence", "deletion", "insertion", "road", "sanity"}
    assert {path.stem for path in (evaluate.here / "plots").iterdir()} == names
    with Image.open(evaluate.here / "plots/deletion.png") as plot:
        assert plot.size[0] > 500
    root = ElementTree.parse(evaluate.here / "a.xml").getroot()
    assert [case.attrib["classname"] for case in root.iter("testcase")] == ["images"] * 5 + ["thresholds"]
    assert (root.attrib["errors"], root.attrib["failures"]) == ("1", "1")


def test_limit_for_a_quantile_fails_the_images_beyond_it(evaluate):
    """One of four images may be beyond a limit at q75, none beyond one at max; the images that are have failures."""
    *lines, _ = map(json.loads, evaluate("--metric", "deletion", "--json").lines)
    values = sorted((line["metrics"]["deletion"], line["input"]) for line in lines if line["method"] == "gradcam")
    limit = (values[2][0] + values[3][0]) / 2
    passed = evaluate("--metric", "deletion", "--fail-above", f"deletion={limit}@q75")
    assert (passed.status, passed.stderr) == (0, "")
    failed = evaluate("--metric", "deletion", "--fail-above", f"deletion={limit}@max", "--junit-xml", "a.xml")
    assert failed.status == 4
    assert (
        failed.stderr
        == f"FAILED: max of deletion {values[3][0]:.3f} (gradcam at conv2) is above {limit:g} (--fail-above)\n"
    )
    cases = {
        case.attrib["name"]: case.find("failure") is not None
        for case in ElementTree.parse(evaluate.here / "a.xml").getroot().iter("testcase")
    }
    assert cases == {
        **{name: False for _, name in values[:3]},
        values[3][1]: True,
        f"--fail-above deletion={limit:g}@max": True,
    }


def test_status_1_for_some_and_3_for_all_inputs_failed(evaluate, broken, tmp_path):
    assert evaluate("--metric", "average-drop", inputs=[tmp_path / "in", broken]).status == 1
    result = evaluate("--metric", "average-drop", "--fail-under", "average-drop=0", inputs=[broken])
    assert (result.status, result.stdout) == (3, "")


def test_sanity_check_reports_insensitive_methods(evaluate):
    """One row per layer from the output down; eigencam does not depend on the layers downstream of its own."""
    options = ("--metric", "average-drop", "--sanity-check", "--method", "eigencam", "--method", "gradcam")
    result = evaluate(*options)
    assert result.status == 0
    rows = result.stdout.partition("randomized down to")[2].splitlines()
    assert [line.split()[0] for line in rows[1:5]] == ["predictions", "hidden", "conv2", "conv1"]
    assert rows[1].split()[1:3] == ["1.000", "1.000"]
    assert rows[5].startswith("eigencam at conv2 is insensitive")
    lines = [json.loads(line) for line in evaluate(*options, "--json").lines]
    first = next(line for line in lines if line["status"] == "sanity")
    assert (first["last_randomized_layer"], first["all_downstream_randomized"]) == ("predictions", False)
    assert "eigencam at conv2" in lines[-1]["insensitive_methods"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "pointing-game"], "pointing-game requires --annotations"),
        (["--fail-under", "energy-pointing-game=0.5"], "energy-pointing-game requires --annotations"),
        (["--fail-under", "beauty=1"], "--fail-under beauty=1: expected one of average-drop"),
        (["--fail-under", "road=1@p05"], "average-drop=0.1@q95, @min and @max limit a quantile"),
        (["--class-map", "map.csv"], "no such file or directory"),
        (["--class", "top2"], "expected one class, got 2"),
        (["--class", "77"], "expected an index from 0 to 2"),
        (["--layer", "nowhere"], "nowhere"),
        (["--annotations", "nowhere.json"], "no such file or directory"),
    ],
)
def test_invalid_options_give_status_2(evaluate, options, words):
    result = evaluate(*options)
    assert result.status == 2
    assert words in result.stderr
    assert result.stdout == ""


def test_class_map_requires_annotations(evaluate, tmp_path):
    (tmp_path / "map.csv").write_text("thing0,2\n")
    result = evaluate("--class-map", tmp_path / "map.csv")
    assert result.status == 2
    assert "--class-map requires --annotations" in result.stderr


def test_malformed_annotations_and_missing_inputs_are_errors(evaluate, tmp_path):
    (tmp_path / "bad.json").write_text("[]")
    result = evaluate("--annotations", tmp_path / "bad.json")
    assert result.status == 2
    assert "bad.json: expected" in result.stderr
    assert evaluate(inputs=[tmp_path / "nothing"]).status in (2, 3)
