"""Maps against boxes and regions, by hand."""

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

REGION = np.zeros((10, 10), bool)
REGION[2:5, 3:7] = True


def spot(y, x):
    map_ = np.full((10, 10), 0.1)
    map_[y, x] = 1
    return map_


def test_pointing_by_hand():
    """Inside, just beside, and beside with a tolerance of that many pixels."""
    assert pointing_game(spot(4, 6), REGION) == 1
    assert pointing_game(spot(5, 6), REGION) == 0
    assert pointing_game(spot(6, 3), REGION, tolerance=1) == 0
    assert pointing_game(spot(6, 3), REGION, tolerance=2) == 1
    assert pointing_game(spot(6, 8), REGION, tolerance=2) == 0  # (2, 2) away: 2.83
    assert pointing_game(np.zeros((10, 10)), REGION) == 0
    assert pointing_game(spot(0, 0), np.zeros((10, 10), bool), 99) == 0


def test_energy_by_hand():
    """12 of 100 equal cells; all of it; none of a map of zeros."""
    assert energy_pointing_game(np.ones((10, 10)), REGION) == pytest.approx(0.12)
    assert energy_pointing_game(REGION * 3.0, REGION) == 1
    assert energy_pointing_game(np.zeros((10, 10)), REGION) == 0


def test_iou_by_hand():
    """2x2 and 4x1 that share 2: 2 / (4 + 4 - 2)."""
    assert box_iou((0, 0, 2, 2), (0, 0, 4, 1)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert max_iou((0, 0, 2, 2), [(9, 9, 10, 10), (0, 0, 2, 1)]) == 0.5
    assert max_iou(None, [(0, 0, 1, 1)]) == 0


def test_localisation_error_by_hand():
    """Right class and box; right class, wrong box; wrong class."""
    assert localization_error(0.5, 7, [7]) == 0
    assert localization_error(0.49, 7, [7]) == 1
    assert localization_error(0.9, 7, [1, 2]) == 1
    assert localization_error(0.9, 7, [1, 2, 7]) == 0


def test_the_relu_makes_no_difference_under_division_by_the_maximum():
    """Box, peak and the regions above any share of the maximum are the same with the negative values or without."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        signed = rng.normal(size=(14, 14))
        rectified = np.maximum(signed, 0)
        assert maps.bounding_box(signed) == maps.bounding_box(rectified)
        assert maps.peak(signed) == maps.peak(rectified)
