"""Right and wrong predictions, and the difference of maps, against values worked by hand."""

import numpy as np
import pytest

from gradcam_cli.images.box import Box
from gradcam_cli.output.difference import COLOR_WEIGHT, difference_overlay
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.pipeline.truth import TrueClass, judge

NAMES = ("cat", "dog", "cow")
SCORES = np.array([1.0, 3.0, 2.0])


def prediction(index):
    p = np.exp(SCORES) / np.exp(SCORES).sum()
    return Prediction(index, NAMES[index], None, float(SCORES[index]), float(p[index]))


@pytest.mark.parametrize(("index", "rank", "state"), [(1, 1, "right"), (2, 2, "wrong"), (0, 3, "wrong")])
def test_rank_and_probability_of_the_true_class(index, rank, state):
    truth = judge(TrueClass(NAMES[index], index), SCORES, prediction)
    assert (truth.state, truth.rank, truth.predicted.name) == (state, rank, "dog")
    record = truth.to_json()
    assert record["right"] is (state == "right")
    assert record["probability"] == pytest.approx(np.exp(SCORES[index]) / np.exp([1.0, 3.0, 2.0]).sum())


def test_of_equal_scores_the_first_class_is_predicted():
    """As the maps of `top` do; the second one is wrong, with rank 2."""
    scores = np.array([0.0, 3.0, 3.0])
    assert judge(TrueClass("cow", 2), scores, prediction).rank == 2
    assert judge(TrueClass("dog", 1), scores, prediction).state == "right"


def test_unknown_class_is_neither_right_nor_wrong():
    truth = judge(TrueClass("misc", None, "class 'misc' not found"), SCORES, prediction)
    assert truth.state == "unknown"
    assert truth.summary([]) == "unknown: class 'misc' not found"
    record = truth.to_json()
    assert (record["right"], record["class_index"], record["predicted_index"]) == (None, None, 1)


def test_line_names_the_predicted_class_unless_it_is_listed():
    truth = judge(TrueClass("cow", 2), SCORES, prediction)
    assert truth.summary([1]) == "wrong: true class 2 cow (0.245, rank 2)"
    assert truth.summary([2]) == "wrong: predicted 1 dog (0.665), true class 2 cow (0.245, rank 2)"
    assert judge(TrueClass("dog", 1), SCORES, prediction).summary([]) == "right"


def test_colors_of_a_difference_are_white_at_zero_and_strongest_at_the_limit():
    """Black image: the colors of RdBu, reversed, times their weight; beyond the crop there is none."""
    image = np.zeros((1, 4, 3), np.uint8)
    drawn = difference_overlay(image, np.array([[-2.0, 0.0, 2.0, 2.0]]), 2.0, Box(0, 0, 3, 1))
    ends = np.array([[5, 48, 97], [247, 247, 247], [103, 0, 31]])  # the ends and the middle of the ColorBrewer scheme
    np.testing.assert_allclose(drawn[0, :3], COLOR_WEIGHT * ends, atol=2)
    assert drawn[0, 3].tolist() == [0, 0, 0]
    zero = difference_overlay(image, np.zeros((1, 4)), 0.0, Box(0, 0, 4, 1))
    np.testing.assert_allclose(zero[0], COLOR_WEIGHT * np.full((4, 3), 247), atol=2)
