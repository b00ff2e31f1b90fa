"""CSV files of an evaluation contain no formulas."""

import csv

import pytest

from gradcam_cli.evaluation.export import write_csv
from gradcam_cli.evaluation.metrics.summary import MetricRow


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_texts_that_start_like_a_formula_are_escaped(tmp_path, text):
    """In names of images, classes and layers; numbers stay numbers."""
    metadata = {"input": text, "class_index": 0, "class_name": text, "probability": -0.3, "layer": text}
    write_csv(tmp_path / "x.csv", [MetricRow(metadata, "gradcam", False, {"road": -0.5}, {})], ["road"])
    with open(tmp_path / "x.csv", newline="") as file:
        _, row = csv.reader(file)
    assert row == [f"'{text}", "0", f"'{text}", "-0.3", f"'{text}", "gradcam", "1", "0", "-0.5"]


def test_other_texts_are_unchanged(tmp_path):
    metadata = {"input": "a=b.png", "class_index": 0, "class_name": None, "probability": 0.5, "layer": "c@d"}
    write_csv(tmp_path / "x.csv", [MetricRow(metadata, "gradcam", False, {"road": None}, {})], ["road"])
    assert (tmp_path / "x.csv").read_text().splitlines()[1] == "a=b.png,0,,0.5,c@d,gradcam,1,0,"
