"""`gradcam evaluate` with metrics on mosaics: output, files, thresholds, errors."""

import csv
import json
from xml.etree import ElementTree

import pytest
from PIL import Image
from report_documents import document_in
from tile_network import color_photos, tile_network

SHARE = (3 * 12 / 16 + 10 / 16) / 4
"""Mean share of heat in the tile, by hand; see `tests/evaluation/test_mosaics.py`."""


@pytest.fixture(scope="module")
def color_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "colors.keras"
    tile_network().save(path)
    path.with_suffix(".labels.txt").write_text("red\ngreen\nblue\nblack\n")
    return path


@pytest.fixture
def evaluate(cli, color_model, tmp_path):
    folder = color_photos(tmp_path / "in")

    def call(*options, inputs=(folder,)):
        words = ("--model", color_model, "--preprocess", "0..1", "--layer", "conv", "--mosaics", "24")
        return cli("evaluate", *inputs, *words, *options)

    call.here = cli.here
    return call


def test_table_has_shares_with_intervals_and_the_valid_cases(evaluate):
    result = evaluate("--metric", "grid", "--metric", "impossible", "--method", "gradcam", "--method", "hirescam")
    assert (result.status, result.stderr) == (0, "")
    tables = result.stdout.split("\n\n")
    assert [table.split()[0] for table in tables[:4]] == ["grid", "grid-peak", "grid-valid", "impossible"]
    assert tables[0].splitlines()[1].split() == ["rank", "map", "mean", "95", "%", "interval", "mosaics"]
    assert tables[0].splitlines()[2].split() == ["1", "gradcam", "0.719", "0.719", "to", "0.719", "24"]
    first, second = tables[3].splitlines()[2:4]
    assert first.split() == ["1", "hirescam", "0.000", "0.000", "to", "0.000", "24"]
    assert second.split() == ["2", "gradcam", "0.281", "0.281", "to", "0.281", "24"]
    assert tables[4].startswith("24 mosaics of 4 inputs; valid cases: 100% (96 of 96)\n")
    assert result.summaries[0].startswith("24 mosaics, 48 maps (")


def test_json_lines_name_the_photos_of_each_mosaic(evaluate):
    result = evaluate("--metric", "grid", "--json")
    *lines, summary = map(json.loads, result.lines)
    gradcam = [line for line in lines if line["method"] == "gradcam"]
    assert [line["input"] for line in gradcam] == [f"mosaic {number}" for number in range(1, 25)]
    assert gradcam[0]["class_index"] is None
    for tile in gradcam[0]["tiles"]:
        assert tile["photo"].endswith(f"{tile['class_name']}.png")
        assert tile["rank"] in (1, 2, 3, 4)
        share = 10 / 16 if tile["class_name"] == "black" else 12 / 16
        assert tile["metrics"] == pytest.approx({"grid": share, "grid-peak": 1, "grid-valid": share}, abs=1e-6)
    assert summary["mosaics"] == {"mosaics": 24, "photos": 4, "cases": 96, "valid_cases": 96}
    assert summary["images"] == 0
    assert summary["mean_metrics"][0]["grid"] == pytest.approx(SHARE, abs=1e-6)


def test_seed_chooses_the_mosaics(evaluate):
    def tiles(seed):
        lines = evaluate("--metric", "grid", "--mosaics", "3", "--seed", seed, "--json").lines
        return [[tile["class_name"] for tile in json.loads(line)["tiles"]] for line in lines[:-1]]

    assert tiles(1) == tiles(1) != tiles(2)


def test_csv_plots_and_junit_have_the_mosaics(evaluate):
    files = ("--csv", "values.csv", "--plots", "plots", "--junit-xml", "report.xml")
    limits = ("--fail-under", "grid=0.7", "--fail-under", "grid-peak=1.5")
    result = evaluate("--metric", "grid", *files, *limits)
    assert result.status == 4
    assert "grid-peak is below" in result.stderr or "below 1.5" in result.stderr
    rows = list(csv.DictReader((evaluate.here / "values.csv").open()))
    assert len(rows) == 24 * 4
    assert float(rows[0]["grid"]) == pytest.approx(SHARE, abs=1e-6)
    assert {path.name for path in (evaluate.here / "plots").iterdir()} == {
        *("grid.png", "grid-peak.png", "grid-valid.png", "mosaics.png")
    }
    assert Image.open(evaluate.here / "plots" / "mosaics.png").size[0] > 300
    suite = ElementTree.parse(evaluate.here / "report.xml").getroot()
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert "grid 0.7188" in cases["mosaic 1"].find("system-out").text
    assert cases["--fail-under grid=0.7"].find("failure") is None
    assert cases["--fail-under grid-peak=1.5"].find("failure") is not None


def test_mosaics_are_not_part_of_the_default_metrics(evaluate):
    heading = evaluate("--steps", "2").lines[0].split()
    assert "grid" not in heading
    mixed = evaluate("--metric", "average-drop", "--metric", "grid", "--json").lines
    summary = json.loads(mixed[-1])
    assert (summary["images"], summary["mosaics"]["mosaics"]) == (4, 24)
    assert None not in (summary["mean_metrics"][0]["average-drop"], summary["mean_metrics"][0]["grid"])


def test_report_shows_the_first_mosaics(evaluate, monkeypatch):
    """Each mosaic has a map for each tile, and no command, since it is no file."""
    monkeypatch.setattr("gradcam_cli.evaluation.mosaics.evaluator.MAX_DRAWN", 5)
    result = evaluate("--metric", "grid", "--method", "gradcam", "--method", "layercam", "--report", "-o", "pages")
    assert result.status == 0
    document = document_in(evaluate.here / "pages" / "index.html")
    assert document["notice"] == "The gallery contains the first 5 of 24 inputs."
    assert [plot["title"] for plot in document["plots"]] == ["grid", "grid-peak", "grid-valid"]
    (table,) = document["tables"]
    assert table["rows"][0][:2] == ["gradcam", "24"]
    assert table["rows"][0][2].startswith("0.719")
    entries = document["entries"]
    assert [entry["name"] for entry in entries] == [f"mosaic {number}" for number in range(1, 6)]
    for entry in entries:
        maps = [(map_["method"], map_["class"]) for map_ in entry["maps"]]
        assert len(set(maps)) == len(maps) == 8
        assert {name for _, name in maps} == {"red", "green", "blue", "black"}
        assert not any(map_["command"] for map_ in entry["maps"])
        assert all((evaluate.here / "pages" / map_["map_image"]).is_file() for map_ in entry["maps"])


def test_errors(evaluate, tmp_path):
    few = color_photos(tmp_path / "few", ("red", "green", "blue"))
    Image.new("RGB", (8, 8), (90, 90, 90)).save(few / "gray.png")
    missing = evaluate("--metric", "grid", inputs=[few])
    assert missing.status == 3
    assert "probability of at least 0.9: expected 4, got 3 (3 of 4 inputs)" in missing.stderr
    assert "--mosaic-probability" in missing.stderr
    (few / "broken.png").write_bytes(b"no image")
    done = evaluate("--metric", "grid", inputs=[few, tmp_path / "in"])
    assert done.status == 1
    assert "broken.png" in done.stderr
    for options in (("--class", "red"), ("--mosaics", "0"), ("--mosaic-probability", "2")):
        assert evaluate("--metric", "grid", *options).status == 2
    smooth = evaluate("--metric", "impossible", "--aug-smooth")
    assert (smooth.status, "--aug-smooth does not support" in smooth.stderr) == (2, True)
