"""The page of a training, from a record that was written by hand."""

import base64
import json
import re

import numpy as np
import pytest
from PIL import Image
from report_documents import INJECTIONS
from training_records import IMAGES, record

from gradcam_cli.callbacks.record import read_epochs, read_run
from gradcam_cli.errors import InputError
from gradcam_cli.reporting.build import build_report
from gradcam_cli.reporting.training_curves import make_curves
from gradcam_cli.reporting.training_page import read_training, training_document


def test_report_recognizes_the_record(cli, tmp_path):
    record(tmp_path)
    result = cli("report", tmp_path)
    assert (result.status, result.stdout.strip()) == (0, str(tmp_path / "index.html"))
    page = (tmp_path / "index.html").read_text()
    assert "<title>gradcam training</title>" in page
    assert cli("report", tmp_path).status == 0  # its own page is replaced


def test_values_of_the_page(tmp_path):
    """Levels are the cells in 255 steps of the largest one; the limit is the value of 1 in the heatmap."""
    maps = record(tmp_path)
    document, damaged = read_training(tmp_path)
    assert damaged == 0
    assert [each["epoch"] for each in document["epochs"]] == [1, 2, 4]
    shown = document["epochs"][1]["images"][0]
    levels = np.frombuffer(base64.b64decode(shown["map"]["values"]), np.uint8)
    np.testing.assert_allclose(levels / 255 * shown["map"]["top"], maps[1].images[0].saved.cam.ravel(), atol=0.01)
    assert (shown["map"]["width"], shown["map"]["height"]) == (3, 2)
    assert shown["map"]["limit"] == maps[1].images[0].limit
    assert shown["map"]["box"] == [0, 0, 1, 1]
    assert shown["class"] == {"text": "1 cat", "probability": 0.25}
    assert shown["predicted"] == {"text": "0 dog", "probability": 0.5}
    assert shown["drift"]["last"]["rank"] == maps[1].drift["last"]["rank"][0]
    lost = document["epochs"][2]["images"][1]
    assert (lost["map"], lost["error"]) == (None, "the weights contain NaN")
    assert document["epochs"][2]["errors"] == 1


def test_curves_by_hand(tmp_path):
    """Epochs 1 to 4 on 44 to 410; losses from 0.5 to 2 on 148 to 10."""
    curves = {plot["title"]: plot for plot in make_curves(record(tmp_path))}
    assert list(curves) == ["Drift since the first epoch", "Drift since the epoch before", "loss", "accuracy"]
    lines = {line["name"]: line["points"] for line in curves["loss"]["lines"]}
    assert lines == {"loss": ["44.0,10.0", "166.0,102.0", "288.0,125.0", "410.0,148.0"], "val_loss": ["44.0,56.0"]}
    assert (curves["loss"]["low"], curves["loss"]["high"]) == ("0.5", "2")


def test_long_trainings_are_thinned(tmp_path, monkeypatch):
    record(tmp_path)
    run = read_run(tmp_path)
    epochs = list(read_epochs(tmp_path, run))
    monkeypatch.setattr("gradcam_cli.reporting.training_page.MAX_CELLS", 6 * 3)  # of five maps of 6 cells
    document = training_document(run, epochs)
    assert [each["epoch"] for each in document["epochs"]] == [1, 4]
    assert len(document["table"]["rows"]) == document["recorded"] == 3


def test_damaged_epoch_is_left_out_and_said(cli, tmp_path):
    record(tmp_path)
    (tmp_path / "training/epoch_00002.npz").write_bytes(b"PK")
    result = cli("report", tmp_path)
    assert result.status == 1
    assert "epoch_00002.npz" in result.stderr
    assert "1 epoch is missing: the files are damaged." in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    "change",
    [
        {"images": []},
        {"fingerprint": "x"},
        {"layer": 1},
        {"images": [{"name": "a", "size": [100_000, 1], "map_box": [0, 0, 1, 1], "crop_box": [0, 0, 1, 1]}]},
        {"images": [{"name": "a", "size": [1, 1], "map_box": [0, 0, 10**9, 10**9], "crop_box": [0, 0, 1, 1]}]},
    ],
    ids=str,
)
def test_damaged_run_is_refused(tmp_path, change):
    """Also one whose maps would take more memory than a machine has."""
    record(tmp_path)
    path = tmp_path / "training/run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=r"cannot read .*run\.json"):
        build_report(tmp_path)


def test_record_of_other_images_is_refused(tmp_path):
    record(tmp_path)
    path = tmp_path / "training/run.json"
    run = json.loads(path.read_text())
    path.write_text(json.dumps({**run, "images": run["images"][:1]}))
    with pytest.raises(InputError, match="has no maps of an epoch"):
        build_report(tmp_path)


def test_untrusted_texts_are_escaped(tmp_path):
    record(tmp_path, names=(INJECTIONS[0], INJECTIONS[1]))
    build_report(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert not any(text in page for text in INJECTIONS[:2] if "<" in text)
    assert len(re.findall(r"<script", page)) == 2


def test_foreign_page_is_kept(cli, tmp_path):
    record(tmp_path)
    (tmp_path / "index.html").write_text("mine")
    assert cli("report", tmp_path).status == 3
    assert (tmp_path / "index.html").read_text() == "mine"


def test_pictures_are_the_images(tmp_path):
    record(tmp_path)
    document, _ = read_training(tmp_path)
    pixels = [np.asarray(Image.open(tmp_path / image["src"])) for image in document["images"]]
    np.testing.assert_array_equal(pixels, IMAGES)
