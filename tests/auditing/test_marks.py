"""The search for marks on images of noise, where chance cannot repeat a patch."""

import numpy as np
import pytest

from gradcam_cli.auditing.marks import find_mark, num_trials, window_sizes, windows_around

SIDE, MARKED = 32, 15
PATTERN = np.array([[0, 255, 0, 0], [255, 255, 0, 0], [0, 0, 255, 255], [0, 0, 255, 0]], np.uint8)[..., None]


def images_with(pattern_in, *, duplicates=0):
    """Return 100 images of noise, 50 of each class; those of some indices have the pattern at rows 8, columns 12."""
    images = np.random.default_rng(0).integers(0, 256, (100, SIDE, SIDE, 3), dtype=np.uint8)
    images[:duplicates] = images[0]
    images[pattern_in, 8:12, 12:16] = PATTERN
    return images, np.arange(100) < 50


def search(images, in_class):
    centers = np.full((MARKED, 2), [10, 14])
    return find_mark(images, in_class, np.arange(MARKED), centers, trials=2)


def test_a_mark_in_some_images_of_one_class_is_found():
    """The members are the marked images; with none elsewhere, p = trials (5 n_c / (5 n_c + n_o))^15."""
    mark = search(*images_with(np.arange(MARKED)))
    assert mark.members.tolist() == list(range(MARKED))
    assert mark.others.size == 0
    assert mark.p_value == pytest.approx(2 * (250 / 300) ** MARKED)


def test_noise_has_no_mark():
    assert search(*images_with([])) is None


def test_a_patch_of_both_classes_is_not_exclusive():
    """Fifteen images of each class have it: the p-value is one."""
    mark = search(*images_with([*range(MARKED), *range(50, 50 + MARKED)]))
    assert len(mark.others) == MARKED
    assert mark.p_value == 1


def test_equal_images_are_duplicates_and_no_mark():
    assert search(*images_with([], duplicates=MARKED)) is None


def test_windows_around_a_place_are_distinct_and_inside():
    windows = list(windows_around(0.0, 31.0, (SIDE, SIDE)))
    assert len(windows) == len(set(windows))
    assert all(0 <= y <= SIDE - size and 0 <= x <= SIDE - size for y, x, size in windows)
    assert {window.size for window in windows} == {4, 6}


def test_windows_have_at_least_four_pixels_in_larger_images():
    """A 16th, an 8th and a 5th of the shorter side; trials are 16 images, 9 places and these sizes."""
    assert window_sizes((64, 80)) == [4, 8, 12]
    assert window_sizes((32, 32)) == [4, 6]
    assert window_sizes((8, 8)) == [3]
    assert num_trials((64, 64), 10) == 10 * 16 * 9 * 3
