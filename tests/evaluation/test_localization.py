"""Localization metrics against values worked out by hand."""

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics.localization import (
    box_iou,
    energy_pointing_game,
    localization_error,
    max_iou,
    pointing_game,
)
from gradcam_cli.methods import maps

MASK = np.zeros((10, 10), bool)
MASK[2:5, 3:7] = True


def peak_at(y, x):
    heatmap = np.full((10, 10), 0.1)
    heatmap[y, x] = 1
    return heatmap


def test_pointing_game_by_hand():
    """Peaks inside, just outside, and outside within the tolerance."""
    assert pointing_game(peak_at(4, 6), MASK) == 1
    assert pointing_game(peak_at(5, 6), MASK) == 0
    assert pointing_game(peak_at(6, 3), MASK, tolerance=1) == 0
    assert pointing_game(peak_at(6, 3), MASK, tolerance=2) == 1
    assert pointing_game(peak_at(6, 8), MASK, tolerance=2) == 0  # (2, 2) away: 2.83
    assert pointing_game(np.zeros((10, 10)), MASK) == 0
    assert pointing_game(peak_at(0, 0), np.zeros((10, 10), bool), 99) == 0


def test_energy_pointing_game_by_hand():
    """12 of 100 equal values; all inside; a map of zeros."""
    assert energy_pointing_game(np.ones((10, 10)), MASK) == pytest.approx(0.12)
    assert energy_pointing_game(MASK * 3.0, MASK) == 1
    assert energy_pointing_game(np.zeros((10, 10)), MASK) == 0


def test_iou_by_hand():
    """2x2 and 4x1 with an intersection of 2: 2 / (4 + 4 - 2)."""
    assert box_iou((0, 0, 2, 2), (0, 0, 4, 1)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert max_iou((0, 0, 2, 2), [(9, 9, 10, 10), (0, 0, 2, 1)]) == 0.5
    assert max_iou(None, [(0, 0, 1, 1)]) == 0


def test_localization_error_by_hand():
    """Correct class and box; correct class, wrong box; wrong class."""
    assert localization_error(0.5, 7, [7]) == 0
    assert localization_error(0.49, 7, [7]) == 1
    assert localization_error(0.9, 7, [1, 2]) == 1
    assert localization_error(0.9, 7, [1, 2, 7]) == 0


def test_box_and_peak_do_not_depend_on_the_relu():
    """Negative values change neither the box nor the peak of a map divided by its maximum."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        pre_relu = rng.normal(size=(14, 14))
        rectified = np.maximum(pre_relu, 0)
        assert maps.bounding_box(pre_relu) == maps.bounding_box(rectified)
        assert maps.peak(pre_relu) == maps.peak(rectified)
