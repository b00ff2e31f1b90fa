"""A mean, a standard deviation and a channel order that the user gives, against Keras and by hand."""

import keras
import numpy as np
import pytest
from small_models import small_network

from gradcam_cli.errors import UsageError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.own_preprocess import parse_own_preprocess
from gradcam_cli.models.preprocessing import preprocess_pixels, resolve_preprocess

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
ORANGE = np.array([[[[200, 100, 50]]]], np.uint8)


def preprocessed(text, pixels=ORANGE):
    return preprocess_pixels(pixels, resolve_preprocess(text))


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("bgr,mean=103.939,116.779,123.68", keras.applications.vgg19),
        ("0..1,mean=0.485,0.456,0.406,std=0.229,0.224,0.225", keras.applications.densenet),
        ("mean=127.5,std=127.5", keras.applications.mobilenet),
    ],
)
def test_written_out_modes_equal_those_of_keras(text, module):
    expected = module.preprocess_input(PIXELS.astype("float32"))
    np.testing.assert_allclose(preprocessed(text, PIXELS), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean=100,std=50", [2, 0, -1]),
        ("mean=10,20,30,std=10,20,5", [19, 4, 4]),
        ("bgr", [50, 100, 200]),
        ("bgr,mean=10,20,30", [40, 80, 170]),  # the mean is in the order after the reversal
        ("mean=10,20,30,bgr", [40, 80, 170]),  # also if bgr is written last
        ("0..1,std=0.5", [400 / 255, 200 / 255, 100 / 255]),
        ("0..1,mean=0.2,std=0.1", [(200 / 255 - 0.2) * 10, (100 / 255 - 0.2) * 10, (50 / 255 - 0.2) * 10]),
        ("-1..1,bgr", [50 / 127.5 - 1, 100 / 127.5 - 1, 200 / 127.5 - 1]),
        ("none,mean=0.5,std=0.5", [399, 199, 99]),
        (" mean = 100 , std = 50 ".replace(" = ", "="), [2, 0, -1]),
    ],
)
def test_values_are_those_worked_out_by_hand(text, expected):
    x = preprocessed(text)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0, 0, 0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mean=1,2,3,std=1,2,3,4", r"the same number of values everywhere, got \[3, 4\]"),
        ("bgr,mean=1,2,3,4", r"the same number of values everywhere, got \[3, 4\]"),
        ("mean=100,std=0", "above 0, got 0"),
        ("mean=100,std=5,-1,5", "above 0, got -1"),
        ("mean=red", "mean: expected numbers, got red"),
        ("mean=", "mean: expected numbers"),
        ("mean=nan", "finite"),
        ("std=inf", "finite"),
        ("mean=100,mean=5", "'mean' is given twice"),
        ("scale=2", "'scale' is unknown: expected mean or std"),
        ("bgr,rgb", "unknown term 'rgb'"),
        ("bgr,bgr", "bgr at most once"),
        ("0..1,-1..1", "one range"),
        ("mean=0.485,0.456,0.406,std=0.229,0.224,0.225", "no range is given"),
        ("0..1,mean=123.68", "in the range of the pixels, 0 to 1"),
        ("mean=300", "in the range of the pixels, 0 to 255"),
    ],
)
def test_unclear_values_are_refused(text, words):
    with pytest.raises(UsageError, match=words):
        resolve_preprocess(text)


@pytest.mark.parametrize("text", ["bgr", "mean=1,2.5,3", "0..1,bgr,mean=0.1,std=0.25,0.5,1", "mean=1e2,std=3"])
def test_the_recorded_text_gives_the_same_preprocessing(text):
    own = parse_own_preprocess(text)
    assert parse_own_preprocess(str(own)) == own


@pytest.mark.parametrize("text", ["bgr", "mean=1,2,3", "caffe", "torch"])
def test_color_preprocessing_of_a_grayscale_model_is_refused(text):
    with pytest.raises(UsageError, match="requires 3 channels, the model has 1"):
        load_model(small_network(channels=1), preprocess=text)


def test_one_mean_suits_a_grayscale_model():
    classifier = load_model(small_network(channels=1), preprocess="mean=100,std=50")
    np.testing.assert_allclose(classifier.preprocess(np.full((1, 12, 12, 1), 200, np.uint8)), 2.0)
