"""Metrics of a signal of five values, and of volumes, with values worked out by hand."""

import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.annotations.masks import Annotation, annotation_mask
from gradcam_cli.evaluation.metrics import faithfulness as f
from gradcam_cli.evaluation.metrics import localization, similarity
from gradcam_cli.evaluation.metrics.imputation import impute, neighbors

X = np.array([[-10], [20], [30], [-40], [5]], np.float32)
L = np.array([0.1, 0.5, 1.0, 0.4, 0.0], np.float32)


class NoNoise:
    def normal(self, mean, deviation, shape):
        return np.zeros(shape)


def total(inputs):
    """A network whose score is the sum of the signal."""
    return inputs.sum(axis=(1, 2))


def test_masking_and_mean():
    assert f.mask_by_map(X, L).ravel().tolist() == pytest.approx([-1, 10, 30, -16, 0])
    np.testing.assert_array_equal(f.mean_color_baseline(X), np.ones((5, 1)))


def test_deletion_and_insertion():
    """30, 20, -40, -10 and 5 are replaced by the mean, 1, in this order: the sum is 5, -24, -43, -2, 9 and 5."""
    curve = f.deletion(total, X, L, f.mean_color_baseline(X), steps=5)
    assert curve.probabilities.tolist() == [5, -24, -43, -2, 9, 5]
    assert curve.auc == pytest.approx((5 - 24 - 43 - 2 + 9) / 5)
    curve = f.insertion(total, X, L, np.zeros_like(X), steps=5)
    assert curve.probabilities.tolist() == [0, 30, 50, 10, 0, 5]


def test_a_gap_of_a_signal_is_filled_along_a_line():
    """Each missing value is the mean of its two neighbors; at the end, it is its only neighbor."""
    x = np.array([[0], [99], [99], [30], [99]], np.float32)
    filled = impute(x, np.array([False, True, True, False, True]), NoNoise())
    assert filled.ravel().tolist() == pytest.approx([0, 10, 20, 30, 30])


def test_weights_of_neighbors():
    """Their sum is 1; each is halved with each further axis: those of a volume are 4, 2 and 1 of 56."""
    for rank, expected in ((1, {1 / 2: 2}), (2, {1 / 6: 4, 1 / 12: 4}), (3, {4 / 56: 6, 2 / 56: 12, 1 / 56: 8})):
        weights = [weight for _, weight in neighbors(rank)]
        assert sum(weights) == pytest.approx(1)
        assert {weight: weights.count(weight) for weight in set(weights)} == expected
    assert dict(neighbors(3))[0, 1, 0] == 4 / 56


def test_one_voxel_is_filled_by_its_neighbors():
    """The center of a cube: values of 56 at the faces, 28 at the edges, and 0 at the corners."""
    distance = np.abs(np.indices((3, 3, 3)) - 1).sum(axis=0)
    x = np.choose(distance, [999, 56, 28, 0])[..., None].astype(np.float32)
    filled = impute(x, distance == 0, NoNoise())
    assert filled[1, 1, 1, 0] == pytest.approx(6 * 4 + 12 * 1)


def test_noise_of_imputation_has_the_range_of_each_channel():
    x = np.zeros((20_000, 2), np.float32)
    filled = impute(x, np.arange(20_000) % 2 == 1, np.random.default_rng(0), np.array([1.0, 500.0]))
    np.testing.assert_allclose(filled[1::2].std(axis=0), [0.01, 5], rtol=0.05)


@pytest.mark.parametrize(
    ("shape", "deviations"), [((200,), (10,)), ((100, 140), (5, 5)), ((40, 80, 100), (2, 4, 4)), ((60, 80), (3, 3))]
)
def test_blur_is_a_gaussian_along_each_axis(shape, deviations):
    """A single 1 becomes a distribution with a twentieth of the side as its standard deviation.

    In the plane of an image or slice it is that of the shorter side; channels are blurred alone.
    """
    x = np.zeros((*shape, 2), np.float32)
    center = tuple(side // 2 for side in shape)
    x[(*center, 0)] = 1
    blurred = f.blur_baseline(x)
    assert blurred[..., 0].sum() == pytest.approx(1, rel=1e-3)
    assert not blurred[..., 1].any()
    for axis, deviation in enumerate(deviations):
        along = blurred[..., 0].sum(axis=tuple(each for each in range(len(shape)) if each != axis))
        variance = (along * (np.arange(shape[axis]) - center[axis]) ** 2).sum()
        assert np.sqrt(variance) == pytest.approx(deviation, rel=0.01)


def test_blur_of_repeated_slices_is_that_of_an_image():
    image = np.random.default_rng(0).uniform(size=(20, 30, 2)).astype(np.float32)
    blurred = f.blur_baseline(np.repeat(image[None], 9, 0))
    np.testing.assert_allclose(blurred, np.repeat(f.blur_baseline(image)[None], 9, 0), rtol=1e-4)


def test_peak_and_intervals():
    """The peak at 2 is beside the object; intervals 1..4 and 2..6 share 2 of 5; the sum in 3..5 is 0.4 of 2."""
    mask = np.array([False, False, False, True, True])
    assert [localization.pointing_game(L, mask, tolerance) for tolerance in (0, 1)] == [0, 1]
    assert localization.energy_pointing_game(L, mask) == pytest.approx(0.4 / 2)
    assert localization.relevance_rank_accuracy(L, mask) == 0
    assert localization.box_iou((1, 4), (2, 6)) == pytest.approx(2 / 5)
    assert localization.box_iou((0, 0, 0, 2, 2, 2), (1, 1, 1, 3, 3, 3)) == pytest.approx(1 / 15)
    assert localization.box_iou((0, 0, 0, 2, 2, 2), (0, 0, 2, 2, 2, 4)) == 0


def test_distance_of_peaks():
    """Signals: 2 of 4 steps. Volumes: 3 voxels along the slices, 4 along the columns, of a diagonal of 3, 4 and 12."""
    assert similarity.peak_shift(L, np.roll(L, 2)) == pytest.approx(2 / 4)
    a, b = np.zeros((2, 4, 13, 5))
    a[0, 3, 4] = b[3, 3, 0] = 1
    assert similarity.peak_shift(a, b) == pytest.approx(5 / 13)


def test_boxes_of_signals_and_volumes_in_a_csv_file(write):
    """A mask has the pixels whose center is inside: x is the last axis, and the slices z are the first one."""
    rows = "path,class,x0,x1\ns.wav,beat,1,3.5\nv.nii.gz,ball,0,1,2,4,3,3\n"
    signal, volume = read_annotations(write("boxes.csv", rows))
    assert annotation_mask(signal, (5,)).tolist() == [False, True, True, False, False]
    mask = annotation_mask(volume, (4, 5, 6))
    assert (mask.sum(), mask[2, 1:3, 0:4].all()) == (8, True)


def test_a_box_of_another_input_is_refused():
    with pytest.raises(InputError, match=r"a\.npy: expected a box of 6 numbers, got 4"):
        annotation_mask(Annotation("a.npy", "ball", None, (0, 0, 2, 2)), (4, 5, 6))
