"""Metrics of inputs with one, two and three spatial axes: an input and a map that are repeated along a further axis.

Each test compares the metric with that of the arrays without this axis, wherever it is inserted.
"""

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics import (
    axiomatic,
    complexity,
    faithfulness,
    imputation,
    localization,
    randomization,
    robustness,
    similarity,
    subsets,
)

COPIES = 3
INSERTED = [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]
"""Number of spatial axes of the arrays, and where the further axis is inserted."""
SHAPES = {1: (20,), 2: (4, 5)}
pytestmark = pytest.mark.parametrize(("rank", "axis"), INSERTED)


def random(rank, *, channels=0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.05, 1, (*SHAPES[rank], *((channels,) if channels else ()))).astype(np.float32)


def repeated(array, axis):
    """Repeat an array along a further axis."""
    return np.repeat(np.expand_dims(array, axis), COPIES, axis)


def network(rank, axis=None):
    """Return a network whose probability is a mean over all pixels, each with its own sensitivity."""
    weights = random(rank, channels=2, seed=9)
    weights = weights if axis is None else repeated(weights, axis)
    return lambda inputs: np.tanh(weights * inputs).mean(axis=tuple(range(1, inputs.ndim)))


class NoNoise:
    def normal(self, mean, deviation, shape):
        return np.zeros(shape)


def test_faithfulness(rank, axis):
    """Curves are equal since each step replaces a whole number of pixels with all their copies."""
    x, L, baseline = random(rank, channels=2), random(rank, seed=1), random(rank, channels=2, seed=2)
    p, lifted_p = network(rank), network(rank, axis)
    lifted = [repeated(each, axis) for each in (x, L, baseline)]
    np.testing.assert_array_equal(faithfulness.mask_by_map(*lifted[:2]), repeated(faithfulness.mask_by_map(x, L), axis))
    for metric in (faithfulness.deletion, faithfulness.insertion):
        planar, other = metric(p, x, L, baseline, steps=10), metric(lifted_p, *lifted, steps=10)
        np.testing.assert_allclose(other.probabilities, planar.probabilities, rtol=1e-5)
    means = faithfulness.mean_color_baseline(x), faithfulness.mean_color_baseline(lifted[0])
    np.testing.assert_allclose(means[1], repeated(means[0], axis), rtol=1e-5)
    coherencies = [faithfulness.coherency(L, baseline[..., 0]), faithfulness.coherency(lifted[1], lifted[2][..., 0])]
    assert coherencies[1] == pytest.approx(coherencies[0])
    adccs = [faithfulness.adcc(each, 0.7, 0.2) for each in (L, lifted[1])]
    assert adccs[1] == pytest.approx(adccs[0])


def test_road(rank, axis):
    """The weights of neighbors are products along the axes, so copies are filled as the pixels that they repeat."""
    x, L, p = random(rank, channels=2), random(rank, seed=1), network(rank)
    missing = random(rank, seed=3) < 0.7
    filled = imputation.impute(x, missing, NoNoise())
    assert not np.allclose(filled[missing], x[missing], rtol=0.1)
    lifted = imputation.impute(repeated(x, axis), repeated(missing, axis), NoNoise())
    np.testing.assert_allclose(lifted, repeated(filled, axis), rtol=1e-4)
    lifted_road = faithfulness.road(network(rank, axis), repeated(x, axis), repeated(L, axis), NoNoise())
    assert lifted_road == pytest.approx(faithfulness.road(p, x, L, NoNoise()), rel=1e-3)


def test_subsets(rank, axis):
    """A sum over copies is a multiple, which neither a correlation nor a best scale depends on."""
    L, drops = random(rank), np.random.default_rng(5).uniform(size=64)
    cells = subsets.random_subsets(SHAPES[rank], np.random.default_rng(4))
    lifted = subsets.Subsets(np.array([repeated(mask, axis) for mask in cells.masks]), cells.shares)
    sums, lifted_sums = cells.sums(L), lifted.sums(repeated(L, axis))
    np.testing.assert_allclose(lifted_sums, COPIES * sums)
    for metric in (lambda s: subsets.sensitivity_n(s, drops, cells.shares), lambda s: subsets.infidelity(s, drops)):
        assert metric(lifted_sums) == pytest.approx(metric(sums))
    x, baseline = random(rank, channels=2), random(rank, channels=2, seed=2)
    replaced = subsets.replace_subsets(x, baseline, cells.masks)
    lifted_replaced = subsets.replace_subsets(repeated(x, axis), repeated(baseline, axis), lifted.masks)
    np.testing.assert_array_equal(lifted_replaced, repeated(replaced, axis + 1))


def test_subsets_are_unions_of_cells(rank, axis):
    """A side of 28 has 14 cells of two pixels, and one of three has three; 30 % of them are a subset of that share."""
    shape = (*(28,) * axis, COPIES, *(28,) * (rank - axis))
    drawn = subsets.random_subsets(shape, np.random.default_rng(0))
    assert drawn.masks.shape == (64, *shape)
    means = drawn.masks.reshape(64, -1).mean(axis=1)
    np.testing.assert_allclose(means, drawn.shares, atol=1 / (COPIES * 14))
    for side, length in enumerate(shape):
        if length == 28:
            even, odd = (np.take(drawn.masks, range(first, 28, 2), side + 1) for first in (0, 1))
            np.testing.assert_array_equal(even, odd)
        else:
            assert not (drawn.masks == np.roll(drawn.masks, 1, side + 1)).all()


def test_robustness(rank, axis):
    """Copies multiply both norms of a quotient, but not that of the scores in `relative-output-stability`."""
    L, x, y = random(rank), random(rank, channels=2), np.array([0.2, 1.5])
    Ls, xs, ys = (
        np.stack([each + 0.1 * n * random(rank, channels=each.ndim - rank and 2, seed=n) for n in (1, 2)])
        for each in (L, x, L)
    )
    ys = y + np.array([[0.1, 0.2], [0.3, -0.1]])
    lifted = [repeated(L, axis), repeated(Ls, axis + 1), repeated(x, axis), repeated(xs, axis + 1)]
    for metric in (robustness.avg_sensitivity, robustness.max_sensitivity):
        assert metric(*lifted[:2]) == pytest.approx(metric(L, Ls), rel=1e-5)
    for metric in (robustness.local_lipschitz, robustness.relative_input_stability):
        assert metric(*lifted) == pytest.approx(metric(L, Ls, x, xs), rel=1e-5)
    relative = robustness.relative_output_stability(L, Ls, y, ys)
    lifted_relative = robustness.relative_output_stability(*lifted[:2], y, ys)
    assert lifted_relative == pytest.approx(np.sqrt(COPIES) * relative, rel=1e-5)


def test_ranges_and_noise(rank, axis):
    """Each channel of an array has its own range, and the noise is 5 % of it; a picture has the range of colors."""
    x = random(rank, channels=2) * np.array([1, 1000], np.float32)
    lifted = repeated(x, axis)
    ranges = robustness.range_of_values(lifted)
    np.testing.assert_array_equal(ranges, robustness.range_of_values(x))
    np.testing.assert_array_equal(ranges, [np.ptp(x[..., 0]), np.ptp(x[..., 1])])
    noise = np.abs(robustness.add_uniform_noise(lifted, np.random.default_rng(0), ranges) - lifted)
    largest = noise.max(axis=tuple(range(noise.ndim - 1))) / ranges
    assert (largest < 0.0501).all()
    assert (largest > 0.045).all()
    assert robustness.range_of_values(lifted.astype(np.uint8)) == 255
    np.testing.assert_array_equal(robustness.range_of_values(np.zeros_like(lifted)), [1, 1])


def test_complexity(rank, axis):
    """Copies share the probability of a pixel, which adds log(copies) to the entropy, and keep fractions."""
    L = random(rank)
    L[L < 0.3] = 0
    lifted = repeated(L, axis)
    assert complexity.entropy(lifted) == pytest.approx(complexity.entropy(L) + np.log(COPIES))
    assert complexity.gini(lifted) == pytest.approx(complexity.gini(L))
    assert complexity.effective_complexity(lifted) == pytest.approx(complexity.effective_complexity(L))


def test_localization(rank, axis):
    L, mask = random(rank), random(rank, seed=1) > 0.6
    lifted = repeated(L, axis), repeated(mask, axis)
    for metric in (
        localization.energy_pointing_game,
        localization.relevance_mass_accuracy,
        localization.relevance_rank_accuracy,
        localization.pointing_game,
    ):
        assert metric(*lifted) == pytest.approx(metric(L, mask), rel=1e-6)
    peak = np.unravel_index(L.argmax(), L.shape)
    for distance in (1, 2):
        beside = np.zeros_like(mask)
        beside[(*peak[:-1], (peak[-1] + distance) % L.shape[-1])] = True
        scores = [localization.pointing_game(L, beside, tolerance) for tolerance in (0, 1, 2)]
        copies = repeated(L, axis), repeated(beside, axis)
        assert [localization.pointing_game(*copies, tolerance) for tolerance in (0, 1, 2)] == scores


def test_iou(rank, axis):
    """The boxes are extended along the further axis; if one ends before the last copy, so does the intersection."""
    intervals = [[(1, 4), (0, 3)], [(2, 6), (1, 5)]]
    boxes = [corners(each[:rank]) for each in intervals]
    iou = localization.box_iou(*boxes)
    longer = [[*each[:axis], (0, COPIES), *each[axis:rank]] for each in intervals]
    assert localization.box_iou(*map(corners, longer)) == pytest.approx(iou)
    shorter = [*intervals[1][:axis], (0, 1), *intervals[1][axis:rank]]
    first, second = (np.prod([b - a for a, b in each]) for each in (longer[0], shorter))
    common = np.prod([max(min(b, d) - max(a, c), 0) for (a, b), (c, d) in zip(longer[0], shorter, strict=True)])
    expected = common / (first + second - common)
    assert localization.box_iou(corners(longer[0]), corners(shorter)) == pytest.approx(expected)


def corners(intervals):
    """Return the box of intervals in the order of an array's axes: the first corner as x, y, z, then the last one."""
    return [a for a, _ in intervals[::-1]] + [b for _, b in intervals[::-1]]


def test_similarity(rank, axis):
    """Twenty pixels have a fifth of four. The distance of peaks stays, and the diagonal gets longer."""
    a, b = random(rank), random(rank, seed=1)
    lifted = repeated(a, axis), repeated(b, axis)
    assert similarity.rank_correlation(*lifted) == pytest.approx(similarity.rank_correlation(a, b))
    assert similarity.ssim(*lifted) == pytest.approx(similarity.ssim(a, b), rel=1e-6)
    assert similarity.top_iou(*lifted) == pytest.approx(similarity.top_iou(a, b))
    diagonals = [np.linalg.norm(np.array(each.shape) - 1) for each in (a, lifted[0])]
    shifts = [similarity.peak_shift(a, b), similarity.peak_shift(*lifted)]
    assert shifts[0] * diagonals[0] == pytest.approx(shifts[1] * diagonals[1])


def test_axioms_and_randomization(rank, axis):
    a, b = random(rank), random(rank, seed=1)
    lifted = repeated(a, axis), repeated(b, axis)
    assert axiomatic.completeness(lifted[0] / COPIES, 3.0, 1.0) == pytest.approx(axiomatic.completeness(a, 3.0, 1.0))
    assert axiomatic.input_invariance(*lifted) == pytest.approx(axiomatic.input_invariance(a, b), rel=1e-6)
    assert randomization.random_logit(*lifted) == pytest.approx(randomization.random_logit(a, b), rel=1e-6)
    many, copies = np.stack([a, b]), np.stack(lifted)
    assert randomization.smooth_mprt(copies, copies[::-1] ** 2) == pytest.approx(
        randomization.smooth_mprt(many, many[::-1] ** 2)
    )
