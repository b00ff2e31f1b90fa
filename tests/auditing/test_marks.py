"""The search for marks on images of noise, where chance cannot repeat a patch."""

import numpy as np
import pytest

from gradcam_cli.auditing.marks import MAX_EXEMPLARS, find_marks, num_trials
from gradcam_cli.auditing.patches import Window, windows

SIDE, SIZE, MARKED, TRIALS = 16, 50, 30, 2
PATTERN = np.array([[0, 255, 0, 0], [255, 255, 0, 0], [0, 0, 255, 255], [0, 0, 255, 0]], np.uint8)[..., None]


def images_with(pattern_in, *, duplicates=0):
    """Return 100 images of noise, 50 of each class; those of some indices have the pattern at rows 8, columns 10."""
    images = np.random.default_rng(0).integers(0, 256, (2 * SIZE, SIDE, SIDE, 3), dtype=np.uint8)
    images[:duplicates] = images[0]
    images[pattern_in, 8:12, 10:14] = PATTERN
    return images, np.arange(2 * SIZE) < SIZE


def search(images, in_class):
    return find_marks(images, in_class, TRIALS)


def test_a_mark_in_some_images_of_one_class_is_found_once():
    """The members are the marked images; with none elsewhere, p = trials (5 n_c / (5 n_c + n_o))^k."""
    (mark,) = search(*images_with(np.arange(MARKED)))
    assert mark.members.tolist() == list(range(MARKED))
    assert mark.exemplar in mark.members
    assert mark.others.size == 0
    assert mark.p_value == pytest.approx(TRIALS * (250 / 300) ** MARKED)
    assert 6 <= mark.window.y <= 10
    assert 8 <= mark.window.x <= 12


def test_a_mark_without_enough_images_is_none():
    """The p-value 2 (5/6)^29 = 0.0101 is above the limit of 0.01, and that of 30 images, 0.0084, is below."""
    assert search(*images_with(np.arange(MARKED - 1))) == []


def test_two_marks_at_one_place_are_two():
    """Half of the images have the pattern, the others its negative."""
    images, in_class = images_with(np.arange(SIZE))
    images[SIZE // 2 : SIZE, 8:12, 10:14] = 255 - PATTERN
    images, in_class = np.concatenate([images, images[SIZE:]]), np.arange(3 * SIZE) < SIZE
    marks = find_marks(images, in_class, trials=1)
    assert sorted(mark.members.tolist() for mark in marks) == [[*range(SIZE // 2)], [*range(SIZE // 2, SIZE)]]


@pytest.mark.parametrize("marked", [0, MARKED])
def test_places_without_structure_have_no_mark(marked):
    """Photos on white: at most places, no image of the class has a patch with contrast."""
    images, in_class = images_with(np.arange(marked))
    images[:, :6] = 255
    assert len(search(images, in_class)) == (1 if marked else 0)
    images[:] = 255
    assert search(images, in_class) == []


def test_noise_has_no_mark():
    assert search(*images_with([])) == []


def test_a_patch_of_both_classes_is_not_exclusive():
    """Thirty images of each class have it: the p-value is one."""
    assert search(*images_with([*range(MARKED), *range(SIZE, SIZE + MARKED)])) == []


def test_equal_images_are_duplicates_and_no_mark():
    assert search(*images_with([], duplicates=MARKED)) == []


def test_a_class_of_few_images_has_no_mark():
    images, _ = images_with(np.arange(4))
    assert find_marks(images, np.arange(2 * SIZE) < 4, TRIALS) == []


def test_exemplars_of_a_large_class_are_drawn():
    """A mark in thirty of 600 images is found with 256 exemplars, with all of its images."""
    images = np.random.default_rng(1).integers(0, 256, (1200, 8, 8, 3), dtype=np.uint8)
    marked = np.random.default_rng(2).permutation(600)[:MARKED]
    images[marked, 3:6, 3:6] = PATTERN[:3, :3]
    (mark,) = find_marks(images, np.arange(1200) < 600, TRIALS)
    assert mark.window == Window(3, 3, 3)
    assert mark.members.tolist() == sorted(marked.tolist())
    assert num_trials((8, 8), 600) == MAX_EXEMPLARS * len(list(windows((8, 8)))) == 256 * 36
