"""The Python package: `load_model` and `explain`."""

import inspect
import logging

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

import gradcam_cli
from gradcam_cli import explain, explain_many, load_model
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.network.trace_cache import trace_cache
from gradcam_cli.pipeline.api_options import OPTIONS
from gradcam_cli.pipeline.config import DEFAULTS

PHOTO = np.random.default_rng(1).integers(0, 256, (30, 20, 3), dtype=np.uint8)


def test_path_model_and_classifier_give_equal_maps(photo, model_file):
    """A path of a model, a model and a classifier; a path of an image and its array."""
    path = photo()
    array = np.asarray(Image.open(path))
    classifier = load_model(model_file, preprocess="-1..1")
    maps = [
        explain(path, model_file, "conv2", preprocess="-1..1").heatmap,
        explain(str(path), small_network(), "conv2", preprocess="-1..1").heatmap,
        explain(array, classifier, "conv2").heatmap,
        explain(array, classifier).heatmap,
    ]
    for map_ in maps[1:]:
        np.testing.assert_array_equal(map_, maps[0])


def test_loaded_model_is_compiled_once(model_file):
    classifier = load_model(model_file, preprocess="none")
    for _ in range(3):
        explain(PHOTO, classifier, "conv2")
    assert sum("gradients" in key[0] for key in trace_cache(classifier.model)._traces if isinstance(key, tuple)) == 1


def test_target_class_by_rank_and_index(model_file):
    classifier = load_model(model_file, preprocess="none")
    top = explain(PHOTO, classifier)
    second = explain(PHOTO, classifier, target_class="top2")
    assert second.prediction == top.predictions[1]
    assert explain(PHOTO, classifier, target_class=second.prediction.index).prediction == second.prediction


def test_grayscale_array_with_a_grayscale_model():
    gray = PHOTO[..., 0]
    record = explain(gray, small_network(channels=1), "conv2", preprocess="0..1")
    assert record.heatmap.shape == gray.shape
    np.testing.assert_array_equal(record.image[..., 2], gray)


def test_an_array_of_other_channels_than_the_model_is_refused(model_file):
    with pytest.raises(
        InputError, match=r"array: expected an array \(H, W, 3\), \(H, W, 4\) or \(H, W\), got \(4, 4, 5\)"
    ):
        explain(np.zeros((4, 4, 5), np.uint8), model_file, preprocess="none")


def test_the_range_of_a_float_image_is_logged_and_stored(model_file, caplog):
    classifier = load_model(model_file, preprocess="none")
    with caplog.at_level(logging.INFO):
        explanation = explain(PHOTO / 255, classifier, "conv2")
    assert explanation.note == "array: float64 values were read as 0 (black) to 1 (white)"
    assert explanation.note in caplog.text
    np.testing.assert_array_equal(explanation.heatmap, explain(PHOTO, classifier, "conv2").heatmap)
    assert explain(PHOTO, classifier, "conv2").note is None


def test_labels_are_a_list_or_a_file(model_file, tmp_path):
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    for labels in (["one", "two", "three"], ("one", "two", "three"), tmp_path / "names.txt"):
        assert explain(PHOTO, model_file, labels=labels, target_class="two", preprocess="none").prediction.index == 1
    for wrong, error in (
        (["one"], "expected 3 names, got 1"),
        ([1, 2, 3], "got int"),
        ({"one": 0}, "got dict"),
        (3, "int"),
    ):
        with pytest.raises(UsageError, match=error):
            explain(PHOTO, model_file, labels=wrong, preprocess="none")


@pytest.mark.parametrize(
    ("function", "keyword", "near"),
    [
        (explain, "methd", "method"),
        (explain, "labls", "labels"),
        (explain_many, "method", "methods"),
        (explain_many, "batchsize", "batch_size"),
        (explain_many, "precison", "precision"),
        (load_model, "preproces", "preprocess"),
    ],
)
def test_a_misspelt_keyword_is_named(function, keyword, near):
    with pytest.raises(TypeError, match=rf"{function.__name__}\(\) .* '{keyword}': did you mean '{near}'\?"):
        function(PHOTO, **{keyword: "x"})


def test_keywords_follow_the_settings_and_the_arguments_of_load_model():
    """A setting that is added to the command is also a keyword of `explain`, with the same default."""
    parameters = inspect.signature(explain).parameters
    own = {"image", "model", "layer", "target_class", "method"}
    assert set(parameters) - own == set(OPTIONS)
    for name in set(OPTIONS) & set(DEFAULTS):
        default = parameters[name].default
        assert (list(default) if isinstance(default, tuple) else default) == DEFAULTS[name], name
    loading = inspect.signature(load_model).parameters
    for name in set(OPTIONS) & set(loading):
        assert parameters[name].default == loading[name].default, name


def test_errors_name_the_input(tmp_path, model_file):
    with pytest.raises(InputError, match=r"none\.jpg: cannot be read"):
        explain(tmp_path / "none.jpg", model_file, preprocess="none")
    with pytest.raises(UsageError, match="not loaded yet"):
        explain(PHOTO, load_model(model_file, preprocess="none"), labels="x")


def test_crop_map_is_zero_outside_and_pad_map_covers_the_image(model_file):
    classifier = load_model(model_file, preprocess="none")
    crop = explain(PHOTO, classifier, "conv2", fit="crop")
    x0, y0, x1, y1 = crop.crop_box
    outside = np.ones(crop.heatmap.shape, bool)
    outside[y0:y1, x0:x1] = False
    assert outside.any()
    assert not crop.heatmap[outside].any()
    pad = explain(PHOTO, classifier, "conv2", fit="pad")
    assert pad.heatmap.shape == PHOTO.shape[:2]
    assert pad.crop_box == (-5, 0, 25, 30)


def test_public_names_can_be_imported():
    assert all(getattr(gradcam_cli, name) for name in gradcam_cli.__all__)
    with pytest.raises(AttributeError):
        _ = gradcam_cli.nothing
