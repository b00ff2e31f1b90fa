"""The document of a report: entries, commands that recompute maps, thresholds, comparisons, depths."""

import json
import subprocess

import pytest

from gradcam_cli.evaluation.drift import MapChange
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.report.document import build_document
from gradcam_cli.report.entries import build_entries
from gradcam_cli.report.rerun import escape_for_display, shell_quote

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
    """The paths are those that the user gave; settings with default values are left out."""
    settings = {"fit": "pad", "score": "logit", "interpolation": "linear", "aug_smooth": True}
    options = {"model": "../my nets/a.keras", "labels": "names.txt", "input_size": [32, 48], "allow_unsafe": True}
    expected = "gradcam a.jpg --model '../my nets/a.keras' --labels names.txt --input-size 32x48 --allow-unsafe-model "
    expected += "--fit pad --aug-smooth --layer conv --class 3"
    assert command_of({**OK, **settings, "model": "a", "model_options": options}, {}) == expected


@pytest.mark.parametrize(
    "changes",
    [{"model_options": {}}, {"model_options": {"model": "m"}, "input": "-"}, {"model_options": {}, "input": "array"}],
)
def test_map_without_files_has_no_command(changes):
    """Of a Keras model, of an array, or of standard input."""
    assert command_of({**OK, **changes}, {}) is None


def test_file_with_the_name_of_a_command_is_given_as_a_path():
    assert command_of({**OK, "input": "layers"}).startswith("gradcam ./layers --model")


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
        run: {
            **OK,
            **{"class_index": index, "class_name": name, "probability": p, "layer": f"conv{index}", "fit": fit},
            **{"model": model, "model_options": {"model": f"nets/{model}.keras", "labels": f"{model}.txt"}},
            **{"map_image": f"{run}.png", "thumbnail": f"{run}.jpg"},
        }
        for run, model, index, name, p, fit in (
            ("before", "old", 1, "dog", 0.25, "squash"),
            ("after", "new", 3, "cat", 0.75, "pad"),
        )
    }
    start = {**START, "command": "compare", "thresholds": [["rank", "max", 0.5]]}
    unmatched = {"status": "unmatched", "name": "b_gradcam.npz"}
    document = build_document([start, {**change.to_json(), "report": maps}, unmatched, END])
    compared, single = document["entries"]
    before, after = compared["maps"]
    keys = ("run", "class", "probability", "layer", "thumbnail", "map_image")
    assert [before[key] for key in keys] == ["before", "dog", 0.25, "conv1", "before.jpg", "before.png"]
    assert [after[key] for key in keys] == ["after", "cat", 0.75, "conv3", "after.jpg", "after.png"]
    command = "gradcam a.jpg --model nets/new.keras --labels new.txt --fit pad --layer conv3 --class 3"
    assert (after["command"], before["metrics"]) == (command, {})
    assert before["command"] == "gradcam a.jpg --model nets/old.keras --labels old.txt --layer conv1 --class 1"
    assert (document["completed_word"], document["model"]) == ("compared", "old → new")
    assert ["fit", "squash → pad"] in document["settings"]
    assert ["method", "gradcam"] in document["settings"]
    assert list(after["metrics"].values()) == [1, 0.75, 0.5, 0.25, 0.125]
    assert compared["failed_thresholds"] == ["rank"]
    assert single["status"] == "failed"
    rows = {row[0]: row[2:] for row in document["tables"][0]["rows"]}
    assert rows["rank"] == ["0.750", "0.750", "a.jpg"]


def test_comparison_without_images_has_the_class_of_each_run():
    """The JSON lines of `gradcam compare` have no images."""
    dog, cat = Prediction(1, "dog", None, None, 0.5), Prediction(3, None, None, None, 0.5)
    (entry,) = build_entries([MapChange("a_gradcam.npz", "a.jpg", dog, cat, 0.25, 0.5, 0.75, 0.125).to_json()], {})
    assert [(map_["run"], map_["class"]) for map_ in entry["maps"]] == [("before", "dog"), ("after", "3")]


def test_color_scale_has_the_colors_of_the_maps():
    """gray is (v, v, v) for the value v / 255; an unknown name has no scale."""
    records = [
        {**OK, "input": str(number), "report": {"map_image": "a.png", "cmap": cmap}}
        for number, cmap in enumerate(("gray", "no such map"))
    ]
    document = build_document([START, *records, END])
    assert document["color_scales"].keys() == {"gray"}
    colors = document["color_scales"]["gray"]
    assert (colors[0], colors[16], colors[-1], len(colors)) == ("#000000", "#808080", "#ffffff", 33)
    assert [entry["maps"][0]["cmap"] for entry in document["entries"]] == ["gray", "no such map"]


def test_each_depth_is_a_map():
    depths = [{"t": t, "adjoint_norm": 2 * t, "peak": [1, 2], "raw_max": 1.0} for t in (0.0, 0.5)]
    images = {"map_images": ["x.png", "y.png"], "thumbnails": ["x.jpg", "y.jpg"], "image": "p.png"}
    (entry,) = build_entries(
        [{**OK, "depths": depths, "map": None, "report": images}], {"rerun_args": ["--model", "m"]}
    )
    maps = [(map_["t"], map_["adjoint_norm"], map_["map_image"], map_["thumbnail"]) for map_ in entry["maps"]]
    assert maps == [(0, 0, "x.png", "x.jpg"), (0.5, 1, "y.png", "y.jpg")]
    command = "gradcam neuralode explain a.jpg --model m"
    assert entry["maps"][0]["command"] == f"{command} --block conv --class 3"
    record = {**OK, "depths": depths, "model_options": {"model": "m"}, "solver": "rk4", "tol": 0.001}
    (entry,) = build_entries([record], {})
    assert entry["maps"][1]["command"] == f"{command} --times 0.0,0.5 --solver rk4 --tol 0.001 --block conv --class 3"


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
