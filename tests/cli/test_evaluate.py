"""`gradcam evaluate` as it is typed: tables, JSON, files, limits, and what is refused."""

import csv
import json
from xml.etree import ElementTree

import pytest
from PIL import Image

SMALL = ("--preprocess", "-1..1", "--layer", "conv2", "--steps", "3", "--base", "mean")


@pytest.fixture
def evaluate(cli, photo, model_file):
    """Four photos in a directory, and the command on them."""
    for number in range(4):
        photo(f"in/{number}.png", seed=number, size=(30, 24))

    def call(*options, inputs=None):
        return cli("evaluate", *(inputs or [cli.here.parent / "in"]), "--model", model_file, *SMALL, *options)

    call.here = cli.here
    return call


@pytest.fixture
def boxes(tmp_path):
    """Annotations of three of the photos: class 0 in two, classes 1 and 2 in one; the model has no names."""
    categories = [{"id": number, "name": f"thing{number}"} for number in range(3)]
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(3)]
    where = [(0, 0, [0, 0, 15, 24]), (1, 0, [5, 5, 10, 10]), (2, 1, [0, 0, 30, 24]), (2, 2, [0, 0, 30, 24])]
    annotations = [{"id": i, "image_id": a, "category_id": c, "bbox": box} for i, (a, c, box) in enumerate(where)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return path


def test_a_table(evaluate):
    done = evaluate()
    assert (done.status, done.stderr) == (0, "")
    heading, gradcam, random, centre = done.lines
    assert heading.split() == ["map", "maps", "drop", "increase", "deletion", "insertion", "road"]
    assert gradcam.split()[:2] == ["gradcam", "4"]
    assert random.startswith("random (baseline)")
    assert centre.startswith("centre (baseline)")


def test_json_lines_and_their_mean(evaluate):
    """A line a map and a last one with the means of the others."""
    done = evaluate("--json", "--method", "layercam", "--metric", "drop", "--metric", "deletion")
    assert (done.status, done.stderr) == (0, "")
    *lines, summary = map(json.loads, done.lines)
    assert [line["method"] for line in lines] == ["layercam", "random", "centre"] * 4
    assert all(list(line["metrics"]) == ["drop", "deletion"] and line["schema_version"] == 1 for line in lines)
    drops = [line["metrics"]["drop"] for line in lines if line["method"] == "layercam"]
    assert summary["means"][0]["drop"] == pytest.approx(sum(drops) / 4)
    assert (summary["status"], summary["photos"], summary["failed"]) == ("summary", 4, 0)
    assert lines[0]["curves"]["deletion"][0] == pytest.approx(lines[0]["probability"], abs=1e-5)


def test_annotations(evaluate, boxes):
    """A line a photo and class; the photo without annotations is left out, which is said."""
    done = evaluate("--annotations", boxes, "--metric", "pointing", "--metric", "energy", "--json")
    assert done.status == 0
    assert "without an annotation of a class of the model, left out: 1" in done.stderr
    *lines, _ = map(json.loads, done.lines)
    gradcam = [line for line in lines if line["method"] == "gradcam"]
    assert [(line["input"][-5], line["class_index"]) for line in gradcam] == [("0", 0), ("1", 0), ("2", 1), ("2", 2)]
    assert all(line["metrics"]["energy"] == pytest.approx(1) for line in gradcam[2:])
    whole = [line["metrics"] for line in lines if line["method"] == "whole"]
    assert whole[0]["energy"] == pytest.approx(0.5, abs=0.01)
    assert whole[0]["pointing"] is None


def test_one_class_of_the_annotations(evaluate, boxes):
    done = evaluate("--annotations", boxes, "--class", "2", "--metric", "energy", "--json")
    assert [json.loads(line)["class_index"] for line in done.lines[:-1]] == [2] * 4
    assert "annotated classes that are not asked for or that the model lacks: 2 (thing0, thing1)" in done.stderr
    assert evaluate("--annotations", boxes, "--class", "top").status == 2


def test_class_map(evaluate, boxes, tmp_path):
    (tmp_path / "map.csv").write_text("thing0,2\n")
    done = evaluate("--annotations", boxes, "--class-map", tmp_path / "map.csv", "--metric", "energy", "--json")
    assert [json.loads(line)["class_index"] for line in done.lines[:-1]] == [2] * 8
    (tmp_path / "map.csv").write_text("other,2\n")
    done = evaluate("--annotations", boxes, "--class-map", tmp_path / "map.csv")
    assert done.status == 3
    assert "none of 4 photos has an annotation of a class of the model" in done.stderr


def test_limits(evaluate):
    """A limit that is missed gives status 4 and is named with what was got; one that is kept gives 0."""
    done = evaluate("--metric", "drop", "--fail-under", "insertion=1.1", "--fail-over", "drop=1")
    assert done.status == 4
    assert done.stderr.count("\n") == 1
    assert "insertion: expected at least 1.1, got 0." in done.stderr
    assert "(gradcam at conv2)" in done.stderr
    assert done.lines[0].split() == ["map", "maps", "drop", "insertion"]
    assert evaluate("--fail-over", "insertion=1.1", "--fail-under", "drop=0").status == 0


def test_files(evaluate, photo, tmp_path):
    """A line a map, a plot a metric, a test case a photo and limit; a broken photo fails alone."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    done = evaluate(
        *("--csv", "out/a.csv", "--plots", "plots", "--junit", "a.xml", "--sanity", "--fail-over", "drop=0"),
        inputs=[tmp_path / "in", broken],
    )
    assert done.status == 4
    assert "broken.png: not an image" in done.stderr
    with open(evaluate.here / "out/a.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 3
    assert 0 <= float(rows[0]["deletion"]) <= 1
    names = {"drop", "increase", "deletion", "insertion", "road", "sanity"}
    assert {path.stem for path in (evaluate.here / "plots").iterdir()} == names
    with Image.open(evaluate.here / "plots/deletion.png") as plot:
        assert plot.size[0] > 500
    root = ElementTree.parse(evaluate.here / "a.xml").getroot()
    assert [case.attrib["classname"] for case in root.iter("testcase")] == ["photos"] * 5 + ["limits"]
    assert (root.attrib["errors"], root.attrib["failures"]) == ("1", "1")


def test_failures_without_a_limit_give_one_and_nothing_measured_three(evaluate, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    assert evaluate("--metric", "drop", inputs=[tmp_path / "in", broken]).status == 1
    done = evaluate("--metric", "drop", "--fail-under", "drop=0", inputs=[broken])
    assert (done.status, done.stdout) == (3, "")


def test_sanity(evaluate):
    """A line a layer, from the output back; a method that ignores what is behind its layer is named."""
    done = evaluate("--metric", "drop", "--sanity", "--method", "eigencam", "--method", "gradcam")
    assert done.status == 0
    text = done.stdout.partition("random down to")[2].splitlines()
    assert [line.split()[0] for line in text[1:5]] == ["predictions", "hidden", "conv2", "conv1"]
    assert text[1].split()[1:3] == ["1.000", "1.000"]
    assert "eigencam at conv2 does not change: it does not show what the network learnt" in text
    lines = [json.loads(line) for line in evaluate("--metric", "drop", "--sanity", "--json").lines]
    assert next(line["randomised"] for line in lines if line["status"] == "sanity") == "predictions"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--metric", "pointing"], "pointing: expected --annotations, got none"),
        (["--fail-under", "energy=0.5"], "energy: expected --annotations"),
        (["--fail-under", "beauty=1"], "--fail-under beauty=1: expected one of drop"),
        (["--class-map", "map.csv"], "does not exist"),
        (["--class", "top2"], "expected one class, got 2"),
        (["--class", "77"], "expected an index from 0 to 2"),
        (["--layer", "nowhere"], "nowhere"),
        (["--annotations", "nowhere.json"], "does not exist"),
    ],
)
def test_bad_arguments(evaluate, options, words):
    done = evaluate(*options)
    assert done.status == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_bad_annotations(evaluate, tmp_path):
    (tmp_path / "bad.json").write_text("[]")
    done = evaluate("--annotations", tmp_path / "bad.json")
    assert done.status == 2
    assert "bad.json: expected" in done.stderr
    assert evaluate(inputs=[tmp_path / "nothing"]).status in (2, 3)
