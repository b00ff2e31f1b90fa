"""The document of a report: entries, commands that recompute maps, thresholds, comparisons, depths."""

import base64
import json
import subprocess

import numpy as np
import pytest

from gradcam_cli.evaluation.drift import MapChange
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.reporting.document import build_document
from gradcam_cli.reporting.entries import build_entries
from gradcam_cli.reporting.rerun import escape_for_display, shell_quote

START = {
    "status": "run_start",
    "command": "explain",
    "command_line": "gradcam a",
    "rerun_args": ["--model", "mini"],
    "inputs": 3,
}
END = {"status": "run_end", "seconds": 1.5, "stop_reason": None}
OK = {"status": "ok", "input": "a.jpg", "layer": "conv", "method": "gradcam", "class_index": 3, "class_name": "cat"}


def command_of(record, run_start=START):
    (entry,) = build_entries([record], run_start)
    return entry["maps"][0]["command"]


def test_rerun_command_has_the_options_of_the_run():
    assert command_of(OK) == "gradcam a.jpg --model mini --layer conv --class 3"
    dashed = {**OK, "input": "-a b.jpg", "method": "layercam", "layer": "input"}
    assert command_of(dashed) == "gradcam './-a b.jpg' --model mini --method layercam --class 3"


def test_rerun_command_without_run_options_uses_the_record():
    """Settings with default values are left out."""
    record = {**OK, "model": "mini", "fit": "pad", "score": "logit", "interpolation": "linear", "aug_smooth": True}
    assert command_of(record, {}) == "gradcam a.jpg --model mini --fit pad --aug-smooth --layer conv --class 3"


@pytest.mark.parametrize(
    "word", ["plain.jpg", "it's", "a\nb", "\u202eright", "back\\slash\n", "$HOME `id`", 'quo"te', "é\n"]
)
def test_bash_reads_quoted_words_unchanged(word):
    """The quoted word is one line without control characters."""
    quoted = shell_quote(word)
    assert quoted == escape_for_display(quoted)
    printed = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
    assert printed.stdout == word.encode()


def test_file_name_that_is_not_unicode_is_escaped():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert shell_quote(name) == r"$'caf\xe9.jpg'"
    (entry,) = build_entries([{**OK, "input": name}], START)
    assert entry["name"] == r"caf\udce9.jpg"
    json.dumps(entry).encode()


def test_failed_and_skipped_inputs_are_entries():
    records = [
        {"status": "failed", "input": "bad\n.jpg", "error": "damaged", "hint": None},
        {"status": "skipped", "input": "old.jpg"},
    ]
    failed, skipped = build_entries(records, {})
    assert (failed["name"], failed["status"], failed["error"]) == (r"bad\n.jpg", "failed", "damaged")
    assert (skipped["status"], skipped["maps"]) == ("skipped", [])


def make_metric_row(name, method="gradcam", baseline=False, relu=True, **metrics):
    fields = {"baseline": baseline, "relu": relu, "metrics": metrics, "curves": {}, "report": {}}
    return {**OK, "input": name, "method": method, **fields}


def test_thresholds_apply_to_each_image():
    """Baselines and maps without ReLU do not count; a value equal to the limit passes."""
    start = {**START, "command": "evaluate", "thresholds": [["insertion", "min", 1], ["deletion", "max", 20]]}
    rows = [
        make_metric_row("a", insertion=0, deletion=20),
        make_metric_row("a", "random", baseline=True, insertion=0, deletion=99),
        make_metric_row("b", insertion=1, deletion=21),
        make_metric_row("c", insertion=None, deletion=1),
        make_metric_row("c", "gradcam", relu=False, insertion=0, deletion=1),
    ]
    entries = build_entries(rows, start)
    assert [entry["failed_thresholds"] for entry in entries] == [["insertion"], ["deletion"], []]


def test_evaluation_has_tables_and_threshold_results():
    rows = [
        make_metric_row("a", insertion=0, deletion=20),
        make_metric_row("a", "random", baseline=True, insertion=0, deletion=99),
        make_metric_row("b", insertion=1, deletion=21),
    ]
    end = {**END, "threshold_results": {"--fail-under insertion=1": "failed"}}
    document = build_document([{**START, "command": "evaluate"}, *rows, end])
    assert document["threshold_results"] == [{"threshold": "--fail-under insertion=1", "failure": "failed"}]
    assert [metric["name"] for metric in document["metrics"]] == ["insertion", "deletion"]
    (means,) = document["tables"]
    assert means["rows"] == [["gradcam", "2", "0.500", "20.500"], ["random (baseline)", "1", "0.000", "99.000"]]


def test_comparison_has_both_maps_and_their_drift():
    dog, cat = Prediction(1, "dog", None, None, 0.5), Prediction(3, "cat", None, None, 0.5)
    change = MapChange("a_gradcam.npz", "a.jpg", dog, cat, 0.25, 0.5, 0.75, 0.125)
    maps = {
        run: {**OK, "class_name": name, "map_image": f"{run}.png"}
        for run, name in (("before", "dog"), ("after", "cat"))
    }
    start = {**START, "command": "compare", "thresholds": [["rank", "max", 0.5]]}
    unmatched = {"status": "unmatched", "name": "b_gradcam.npz"}
    document = build_document([start, {**change.to_dict(), "report": maps}, unmatched, END])
    compared, single = document["entries"]
    before, after = compared["maps"]
    assert (before["run"], before["class"], after["run"], after["class"]) == ("before", "dog", "after", "cat")
    assert after["metrics"] == compared["metrics"]
    assert list(after["metrics"].values()) == [1, 0.75, 0.5, 0.25, 0.125]
    assert compared["failed_thresholds"] == ["rank"]
    assert single["status"] == "failed"
    rows = {row[0]: row[2:] for row in document["tables"][0]["rows"]}
    assert rows["rank"] == ["0.750", "0.750", "a.jpg"]


def test_maps_have_the_size_of_the_layer_and_their_maximum():
    """Rows x columns and four digits; maps of earlier versions have neither."""
    summary = {"cells": [14, 7], "raw_max": 0.123456}
    new, old = build_entries([{**OK, "model": "vgg19", "map": summary}, {**OK, "input": "b.jpg"}], START)
    assert [new["maps"][0][key] for key in ("model", "cells", "raw_max")] == ["vgg19", "14x7", 0.1235]
    assert [old["maps"][0][key] for key in ("model", "cells", "raw_max")] == ["", "", None]


def test_page_offers_the_colors_of_the_run_first():
    """As 256 colors in base64; an unknown colormap in a run log gives the default."""
    document = build_document([{**START, "cmap": "gray", "blend": "constant"}, OK])
    assert (document["cmap"], document["blend"], next(iter(document["colormaps"]))) == ("gray", "constant", "gray")
    grays = np.arange(256).repeat(3).astype(np.uint8)
    assert base64.b64decode(document["colormaps"]["gray"]) == grays.tobytes()
    assert "viridis" in document["colormaps"]
    assert build_document([{**START, "cmap": "rainbows"}, OK])["cmap"] == "viridis"


def test_each_depth_is_a_map():
    depths = [{"t": t, "adjoint_norm": 2 * t, "peak": [1, 2], "raw_max": 1.0} for t in (0.0, 0.5)]
    numbers = [{"width": 1}, {"width": 2}]
    images = {"map_images": ["x.png", "y.png"], "all_levels": numbers, "image": "p.png"}
    (entry,) = build_entries(
        [{**OK, "depths": depths, "map": None, "report": images}], {"rerun_args": ["--model", "m"]}
    )
    maps = [(map_["t"], map_["adjoint_norm"], map_["map_image"]) for map_ in entry["maps"]]
    assert maps == [(0, 0, "x.png"), (0.5, 1, "y.png")]
    assert [map_["levels"] for map_ in entry["maps"]] == numbers
    assert entry["maps"][0]["command"] == "gradcam neuralode explain a.jpg --model m"


@pytest.mark.parametrize(
    ("end", "expected"),
    [([END], None), ([{**END, "stop_reason": "disk full"}], "disk full"), ([], "killed")],
)
def test_incomplete_run_has_a_notice(end, expected):
    notice = build_document([START, OK, *end])["partial"]
    assert notice is None if expected is None else expected in notice and "1 of 3" in notice


def test_sanity_check_table_marks_insensitive_methods():
    """A method whose maps stay similar when all downstream layers are randomized does not depend on the weights."""
    step = {"status": "sanity", "last_randomized_layer": "conv", "all_downstream_randomized": True, "layer": "conv"}
    steps = [{**step, "method": method, "rank": rank, "ssim": 0.5} for method, rank in (("a", 0.1), ("b", 0.9))]
    (table,) = build_document([*steps, OK])["tables"]
    assert [(row[0], row[2], row[-1]) for row in table["rows"]] == [("a", "0.100", "yes"), ("b", "0.900", "no")]


def comparison_of(before, after):
    runs = {
        run: {"input": "a.jpg", "layer": "conv", "method": "gradcam", "model": "net", **values}
        for run, values in (("before", before), ("after", after))
    }
    change = MapChange(
        "a_gradcam.npz",
        "a.jpg",
        Prediction(3, "cat", None, None, 0.9),
        Prediction(5, "dog", None, None, 0.6),
        0.5,
        0.5,
        0.5,
        0.1,
    )
    report = {"image": "report/i.jpg", "thumbnail": "report/after.jpg", **runs}
    return {**change.to_dict(), "report": report}


def test_entry_of_a_comparison_shows_the_map_after_with_its_class():
    """Each map has the class and the probability of its run."""
    before = {"class_index": 3, "class_name": "cat", "probability": 0.9, "thumbnail": "report/before.jpg"}
    after = {"class_index": 5, "class_name": "dog", "probability": 0.6, "thumbnail": "report/after.jpg"}
    (entry,) = build_entries([comparison_of(before, after)], {"command": "compare"})
    assert (entry["class"], entry["probability"], entry["thumbnail"]) == ("dog", 0.6, "report/after.jpg")
    shown = [(map_["run"], map_["class"], map_["probability"]) for map_ in entry["maps"]]
    assert shown == [("before", "cat", 0.9), ("after", "dog", 0.6)]


def test_commands_of_a_comparison_are_those_of_its_two_runs():
    """They have the model files and labels of their own run, not the options of `compare`."""
    before = {"class_index": 3, "rerun_args": ["--model", "old/net.keras", "--labels", "my names.txt"]}
    after = {"class_index": 5, "rerun_args": ["--model", "new/net.keras", "--fit", "pad"]}
    start = {"command": "compare", "rerun_args": ["--offline"]}
    (entry,) = build_entries([comparison_of(before, after)], start)
    assert [map_["command"] for map_ in entry["maps"]] == [
        "gradcam a.jpg --model old/net.keras --labels 'my names.txt' --layer conv --class 3",
        "gradcam a.jpg --model new/net.keras --fit pad --layer conv --class 5",
    ]
