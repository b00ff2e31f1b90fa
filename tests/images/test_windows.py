"""Windows over an input, and the blending of their maps: against functions that all windows see parts of."""

import numpy as np
import pytest

from gradcam_cli.images.box import Box
from gradcam_cli.images.windows import BlendedMap, window_boxes


def test_the_windows_cover_the_input_and_overlap_by_half():
    boxes = window_boxes(Box.whole((20,)), (8,))
    assert [box.intervals[0] for box in boxes] == [(0, 8), (4, 12), (8, 16), (12, 20)]
    assert [box.intervals[0] for box in window_boxes(Box.whole((9,)), (8,))] == [(0, 8), (1, 9)]
    assert window_boxes(Box.whole((8,)), (8,)) == (Box(0, 8),)


def test_along_several_axes_every_combination_is_a_window():
    boxes = window_boxes(Box(0, -1, 0, 8, 3, 6), (6, 4, 4))  # rows padded to four, columns of two windows and a half
    assert {box.intervals[0] for box in boxes} == {(0, 6)}
    assert {box.intervals[1] for box in boxes} == {(-1, 3)}
    assert {box.intervals[2] for box in boxes} == {(0, 4), (2, 6), (4, 8)}


@pytest.mark.parametrize(("shape", "side"), [((23,), 8), ((13, 10), 6), ((9, 8, 7), 4)])
def test_windows_that_agree_give_their_common_map(shape, side):
    """The weights sum to one everywhere: parts of one function are blended to this function."""
    whole = np.random.default_rng(0).random(shape).astype(np.float32)
    windows = window_boxes(Box.whole(shape), (side,) * len(shape))
    blend = BlendedMap(shape, windows, Box.whole(windows[0].shape))
    for window in windows:
        blend.add(window, whole[window.slices])
    np.testing.assert_allclose(blend.mean(), whole, rtol=1e-5)


def test_the_middle_of_a_window_counts_more_than_its_border():
    """Two windows of 4 over 6 places, with the weights 1/4, 3/4, 3/4, 1/4: place 2 has 3/4 of the first one."""
    windows = window_boxes(Box.whole((6,)), (4,))
    blend = BlendedMap((6,), windows, Box.whole((4,)))
    blend.add(windows[0], np.full(4, 1.0))
    blend.add(windows[1], np.full(4, 3.0))
    np.testing.assert_allclose(blend.mean(), [1, 1, 1.5, 2.5, 3, 3], rtol=1e-6)


def test_where_no_cell_lies_a_window_does_not_count():
    """Cells of a network without padding do not reach the border of a window: its neighbor alone counts there."""
    windows = window_boxes(Box.whole((6,)), (4,))
    blend = BlendedMap((6,), windows, Box(1, 3))  # the middle two of four places
    for window, value in zip(windows, (1.0, 3.0), strict=True):
        blend.add(window, np.array([0, value, value, 0]))
    np.testing.assert_allclose(blend.mean(), [0, 1, 1, 3, 3, 0], rtol=1e-6)


def test_a_window_beyond_the_input_is_cut_off():
    windows = window_boxes(Box(-1, 3), (4,))
    blend = BlendedMap((2,), windows, Box.whole((4,)))
    blend.add(windows[0], np.array([9.0, 1.0, 2.0, 9.0]))
    np.testing.assert_allclose(blend.mean(), [1, 2])
