"""`gradcam compare`: images that a new network mends or breaks."""

import json

import keras
import numpy as np
import pytest
from color_network import NAMES, paint, write_color_network

OPTIONS = ("--preprocess", "0..1", "--save", "npz")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A network, and one that exchanges the scores of green and blue."""
    folder = tmp_path_factory.mktemp("networks")
    old = write_color_network(folder / "old.keras")
    changed = keras.saving.load_model(old)
    changed.get_layer("predictions").set_weights([np.eye(3)[:, [0, 2, 1]], np.zeros(3)])
    changed.save(folder / "new.keras")
    (folder / "new.labels.txt").write_text("\n".join(NAMES))
    return folder


@pytest.fixture
def runs(cli, networks, tmp_path):
    """Results of both networks: one image stays right, one is mended, one broken, one has no known class."""
    paint(tmp_path / "in/red/same.png", (255, 0, 0))
    paint(tmp_path / "in/green/mended.png", (0, 0, 255))
    paint(tmp_path / "in/blue/broken.png", (0, 0, 255))
    paint(tmp_path / "in/misc/unknown.png", (0, 255, 0))

    def explain(model, output, *words):
        done = cli(tmp_path / "in", "--model", networks / f"{model}.keras", *OPTIONS, "-o", output, *words)
        assert done.status == 0, done.stderr

    cli.explain, cli.new = explain, networks / "new.keras"
    return cli


COUNTS = {"mended": 1, "broken": 1, "right": 1, "wrong": 0, "unknown": 1}


def test_mended_and_broken_images_are_named_and_counted(runs):
    for model in ("old", "new"):
        runs.explain(model, model, "--truth", "parent")
    done = runs("compare", "old", "new")
    named = [line.rpartition("/")[2] for line in done.lines if "true class" in line]
    assert named == [
        "broken.png: broken: 2 blue -> 1 green, true class 2 blue",
        "mended.png: mended: 2 blue -> 1 green, true class 1 green",
    ]
    assert "predictions: 1 mended, 1 broken, 1 right in both, 0 wrong in both, 1 unknown" in done.lines
    *changes, summary = map(json.loads, runs("compare", "old", "new", "--json").lines)
    assert summary["correctness"] == COUNTS
    assert summary["drift"]["broken"] == pytest.approx(1 / 3)  # of the images with a known true class
    assert {change["input"].rpartition("/")[2][:-4]: change["correctness"] for change in changes} == {
        "broken": "broken",
        "mended": "mended",
        "same": "right",
        "unknown": "unknown",
    }


def test_broken_images_are_a_gate(runs):
    for model in ("old", "new"):
        runs.explain(model, model, "--truth", "parent")
    failed = runs("compare", "old", "new", "--max-drift", "broken=0", "--report", "-o", "report")
    assert failed.status == 4
    assert "broken 0.3333 is above 0 (--max-drift)" in failed.stderr
    assert runs("compare", "old", "old", "--max-drift", "broken=0").status == 0
    page = (runs.here / "report/index.html").read_text()
    assert '<option value="broken">broken (right before, wrong after): 1</option>' in page
    assert "Accuracy 0.667" in page
    assert ">right in both runs: 1<" in page


def test_broken_is_refused_where_it_cannot_be_known(runs):
    """Without true classes, and if images are in one run only, as after --only wrong."""
    for model in ("old", "new"):
        runs.explain(model, model)
        runs.explain(model, f"{model}-wrong", "--truth", "parent", "--only", "wrong", "--class", "truth")
    done = runs("compare", "old", "new", "--max-drift", "broken=0")
    assert done.status == 2
    assert "no image has a known true class in both runs" in done.stderr
    runs.explain("old", "all", "--truth", "parent")
    done = runs("compare", "all", "old-wrong", "--max-drift", "broken=0")
    assert done.status == 2
    assert "3 maps are missing or damaged in one of the runs" in done.stderr


def test_new_model_is_judged_by_the_true_classes_of_the_baseline(runs):
    runs.explain("old", "old", "--truth", "parent", "--class", "top", "--class", "truth")
    summary = json.loads(runs("compare", "old", runs.new, "--preprocess", "0..1", "--json").lines[-1])
    assert summary["correctness"] == COUNTS


def test_true_classes_may_be_given_to_the_comparison(runs, networks):
    for model in ("old", "new"):
        runs.explain(model, model)
    done = runs("compare", "old", "new", "--truth", "parent", "--labels", networks / "old.labels.txt", "--json")
    assert json.loads(done.lines[-1])["correctness"] == COUNTS
    done = runs("compare", "old", "new", "--truth", "parent")
    assert done.status == 2
    assert "class names of model old are not known" in done.stderr
    done = runs("compare", "old", runs.new, "--preprocess", "0..1", "--truth", "parent", "--json")
    assert json.loads(done.lines[-1])["correctness"] == COUNTS
