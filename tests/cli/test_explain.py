"""`gradcam explain` with a small network: results, models, statuses and messages."""

import json
import os
from pathlib import Path

import keras
import pytest
from directory_tree import files
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.network.precision import has_bfloat16


def test_image_gives_a_figure_and_a_line(small, photo):
    """A figure in the current directory, one line on stdout, nothing on stderr."""
    done = small(photo("cat.jpg"))
    assert done.status == 0
    assert files(small.here) == ["cat_gradcam.png"]
    assert len(done.lines) == 1
    assert done.lines[0].endswith("-> cat_gradcam.png")
    assert done.stderr == ""


def test_explain_is_the_default_command(small, photo):
    path = photo()
    assert small("explain", path).stdout == small(path).stdout
    assert small("--layer", "conv2", path).status == 0


def test_file_named_like_a_command_is_explained(small, photo):
    os.rename(photo(), small.here / "layers")
    assert small("./layers").lines[0].endswith("layers_gradcam.png")


def test_top_lists_predictions(small, photo):
    path = photo()
    assert " | " not in small(path).stdout
    assert small(path, "--top", "2").stdout.count(" | ") == 2


@pytest.mark.skipif(not has_bfloat16(), reason="the processor has no bfloat16")
def test_precision_is_recorded(small, photo):
    """The JSON line contains the precision that `--precision auto` selected, and the scores have it."""
    lines = [small(photo(), "--precision", name, "--json").lines[0] for name in ("float32", "auto")]
    exact, lower = map(json.loads, lines)
    assert (exact["precision"], lower["precision"]) == ("float32", "bfloat16")
    assert 0 < abs(exact["logit"] - lower["logit"]) < 0.05 * max(1, abs(exact["logit"]))


def test_unsupported_precision_is_refused(small, photo):
    done = small(photo(), "--precision", "float16")
    assert done.status == 2
    assert "requires a GPU" in done.stderr


def test_labels_and_score_are_recorded(cli, photo, model_file):
    """Class names are those of the file; the JSON line contains the score."""
    Path("names.txt").write_text("ant\nbee\nwasp\n")
    options = ["--model", model_file, "--preprocess", "none", "--labels", "names.txt", "--json"]
    entry = json.loads(cli(photo(), *options, "--class", "bee", "--score", "probability").stdout)
    assert (entry["class_index"], entry["class_name"], entry["score"]) == (1, "bee", "probability")
    assert cli(photo(), *options, "--class", "fly").status == 2


def test_zero_maps_are_reported(cli, photo, tmp_path):
    """The reason is on stderr and in the JSON line; the figure is written."""
    model = small_network()
    model.get_layer("conv2").bias.assign([-100] * 5)
    model.save(tmp_path / "dead.keras")
    done = cli(photo(), "--model", tmp_path / "dead.keras", "--json")
    assert done.status == 0
    assert "dead activations" in done.stderr
    assert json.loads(done.stdout)["map"]["zero_reason"].startswith("dead activations")


def models_of_all_kinds():
    """Return classifiers that other tools do not support, by name."""
    inner = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(96, 96, 3))
    pooled = [L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]
    return {
        "nested": keras.Sequential([keras.Input((96, 96, 3)), inner, *pooled]),
        "sigmoid": small_network(classes=1, activation="sigmoid"),
        "gray": small_network(channels=1),
        "logits": small_network(activation=None),
        "flat": keras.Sequential([keras.Input((12, 12, 3)), L.Flatten(), L.Dense(3)]),
    }


@pytest.mark.parametrize(
    ("kind", "layer", "classes"),
    [
        ("nested", "mobilenetv2_1.00_96/out_relu", 3),
        ("sigmoid", "conv2", 2),
        ("gray", "conv2", 3),
        ("logits", "conv2", 3),
        ("flat", None, None),
    ],
)
def test_every_kind_of_model_is_explained_or_refused(cli, photo, kind, layer, classes):
    """Layer, classes and probabilities are those of the model; a model without spatial layer is an error."""
    models_of_all_kinds()[kind].save("model.keras")
    done = cli(photo("a.png"), "--model", "model.keras", "--preprocess", "-1..1", "--json", "--class", "top2")
    if layer is None:
        assert done.status == 3
        assert "no layer" in done.stderr
        return
    first, second = map(json.loads, done.lines)
    assert (done.status, first["layer"], len(first["predictions"])) == (0, layer, classes)
    assert sum(prediction["probability"] for prediction in first["predictions"]) == pytest.approx(1, rel=1e-5)
    assert first["logit"] >= second["logit"]
    assert sorted(files(".")) == ["a_gradcam_top1.png", "a_gradcam_top2.png", "model.keras"]
    if kind == "sigmoid":
        assert first["logit"] == -second["logit"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.png", "--layer", "conv9"], "conv9"),
        (["a.png", "--layer", "flat"], "expected rows and columns of the image"),
        (["a.png", "--class", "9"], "expected an index from 0 to 2"),
        (["a.png", "--class", "cat"], "no class names"),
        (["a.png", "--fit", "stretch"], "squash, crop, pad"),
        (["a.png", "--cmap", "rainbows"], "rainbows"),
        (["a.png", "--save", "gif"], "gif"),
        (["a.png", "-o", "-", "--json"], "standard output"),
        (["a.png", "-q", "-v"], "exclude each other"),
        (["a.png", "--nonsense"], "--nonsense"),
        (["a.png", "-0"], "--files-from"),
        (["-", "-"], "only once"),
        (["--files-from", "none.txt"], "none.txt"),
        (["--json"], "no input"),
    ],
)
def test_usage_error_gives_status_2(small, photo, arguments, words):
    """The error has one line and no file is written."""
    os.rename(photo("a.png"), "a.png")
    done = small(*arguments)
    assert done.status == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert files(small.here) == ["a.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.png"],
        ["here.png", "--model", "vgg18"],
        ["here.png", "--model", "none.keras"],
        ["here.png", "--offline"],
    ],
)
def test_no_usable_input_or_model_gives_status_3(cli, photo, arguments):
    """No readable input, unknown model, missing file, no weights."""
    os.rename(photo(), "here.png")
    done = cli(*arguments)
    assert done.status == 3
    assert done.stderr.startswith("error: ")


def test_empty_directory_gives_status_3(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    done = cli(tmp_path / "empty")
    assert done.status == 3
    assert "no image found" in done.stderr


def test_quiet_prints_only_errors_and_verbose_the_layer(small, photo):
    path = photo()
    assert small(path, "-q").stderr == ""
    assert "layer conv2" in small(path, "-v").stderr
    assert small("missing.png", "-q").stderr.startswith("error:")
