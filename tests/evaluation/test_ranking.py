"""Ranks of maps: which differences count, ties, missing values, few images."""

import numpy as np
import pytest
from scipy import stats

from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.ranking import rank_maps, rank_values

RNG = np.random.default_rng(0)
IMAGES = np.arange(40)
NOISE = RNG.normal(size=(40, 1))


def ranks(values, images=None, *, higher=True):
    values = np.asarray(values, float)
    images = np.arange(len(values)) if images is None else images
    return [each.rank for each in rank_values(values, images, higher_is_better=higher).means]


def test_differences_are_paired():
    """The means differ by a tenth of the deviation between images, but in each image by the same amount."""
    noise = RNG.normal(0, 0.01, (40, 3))
    values = NOISE + np.array([0.0, 0.1, 0.1]) + noise - noise.mean(axis=0)
    assert ranks(values) == [2, 1, 1]
    assert ranks(values, higher=False) == [1, 2, 2]
    unpaired = np.column_stack([column[RNG.permutation(40)] for column in values.T])
    assert ranks(unpaired) == [1, 1, 1]


def test_equal_methods_are_told_apart_in_5_percent_of_the_evaluations():
    """Of 200 evaluations of five equal methods; testing each of the ten pairs at 5 % tells some apart in 28 %."""
    separated = alone = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(25, 5)) + rng.normal(size=(25, 1))
        separated += len(set(ranks(values))) > 1
        alone += any(stats.ttest_rel(values[:, i], values[:, j]).pvalue < 0.05 for i in range(5) for j in range(i))
    assert 0.02 <= separated / 200 <= 0.09
    assert alone / 200 > 0.2


def test_a_difference_counts_as_in_a_paired_t_test():
    """The test of the difference at 5 % decides as scipy's, for p-values that are not near 0.05."""
    decisions = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(25, 2)) + rng.normal(size=(25, 1)) + [0, rng.choice([0, 0.4, 0.8])]
        p = stats.ttest_rel(*values.T).pvalue
        if not 0.03 < p < 0.08:
            assert (ranks(values) != [1, 1]) == (p < 0.05), (seed, p)
            decisions += p < 0.05
    assert 15 < decisions < 50


def test_rank_is_one_more_than_that_of_a_better_map():
    """The middle map differs from neither of the others, which differ from each other: it shares rank 1."""
    noise = RNG.normal(size=(40, 3))
    noise = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    values = np.column_stack([noise[:, 0] * 0.1 + 0.4, noise[:, 1] * 2 + 0.2, noise[:, 2] * 0.1])
    ranking = rank_values(values, IMAGES, higher_is_better=True)
    assert [each.rank for each in ranking.means] == [1, 1, 2]
    assert ranking.better.tolist() == [[False, False, True], [False] * 3, [False] * 3]
    assert ranks(np.arange(40)[:, None] + [3.0, 1.0, 2.0, 1.0]) == [1, 3, 2, 3]


def test_equal_maps_have_equal_ranks():
    assert ranks(np.repeat(NOISE, 3, axis=1)) == [1, 1, 1]
    assert ranks(np.full((9, 2), 0.25)) == [1, 1]


def test_missing_values():
    """A pair is compared over the images that have a value of both; a map without values has no rank."""
    values = NOISE + np.array([0.0, 0.5, 1.0])
    values[:30, 1] = np.nan
    values[:, 2] = np.nan
    first, second, empty = rank_values(values, IMAGES, higher_is_better=True).means
    assert (first.rank, second.rank, empty.rank) == (2, 1, None)
    assert (first.images, second.images, empty.images) == (40, 10, 0)
    assert second.mean == pytest.approx(NOISE[30:].mean() + 0.5)
    assert (empty.mean, empty.interval) == (None, None)


def test_few_images_have_no_ranks():
    (one,) = rank_values(np.array([[0.5]]), np.zeros(1), higher_is_better=True).means
    assert one == (0.5, None, 1, None)
    values = np.arange(4)[:, None] + [0.0, 9.0]
    assert ranks(values) == [None, None]
    assert ranks(np.repeat(values, 3, axis=0), np.repeat(np.arange(4), 3)) == [None, None]
    assert ranks(np.arange(5)[:, None] + [0.0, 9.0]) == [2, 1]


def test_one_map_has_rank_1():
    assert ranks(NOISE) == [1]


def row(image, method, value, *, baseline=False, class_index=0):
    metadata = {"input": f"{image}.png", "class_index": class_index, "layer": "conv"}
    return MetricRow(metadata, method, baseline, {"road": value, "deletion": None}, {})


def test_rows_of_images_are_paired_by_image_and_class():
    """In any order; the images of a map are counted once."""
    rows = [
        row(image, method, image + shift + c, class_index=c)
        for method, shift in (("layercam", 0.0), ("gradcam", 0.01))
        for image in (range(8) if method == "gradcam" else range(7, -1, -1))
        for c in (0, 1)
    ]
    rows += [row(image, "random", None, baseline=True) for image in range(8)]
    ranking = rank_maps(rows, ["road", "deletion"])
    assert ranking.labels == ["layercam", "gradcam", "random"]
    assert ranking.methods == [0, 1]
    layercam, gradcam, random = ranking.by_metric["road"].means
    assert (layercam.rank, gradcam.rank, random.rank) == (2, 1, None)
    assert (layercam.images, gradcam.mean) == (8, pytest.approx(4.01))
    assert all(each == (None, None, 0, None) for each in ranking.by_metric["deletion"].means)


def test_differences_of_rounding_do_not_count():
    """As those of maps that are equal by their formulas, and computed in another order; larger ones do."""
    values = np.abs(NOISE) + np.array([0.0, 1e-7])
    assert ranks(values) == [1, 1]
    assert ranks(np.abs(NOISE) + np.array([0.0, 1e-4])) == [2, 1]


def test_nothing_to_rank():
    assert rank_maps([], ["road"]).by_metric["road"].means == []


def map_at(layer, method, *, baseline=False):
    return MetricRow({"input": "a", "layer": layer}, method, baseline, {"iou": 0.5}, {})


def test_maps_of_several_layers_are_named_with_them():
    """Also the baselines of a map that is made of two layers, of which there are two each."""
    center = {"method": "center", "baseline": True}
    one = rank_maps([map_at("a", "gradcam"), map_at("a", **center)], ["iou"])
    assert one.labels == ["gradcam", "center"]
    product = rank_maps([map_at("a * b", "refinecam"), map_at("a", **center), map_at("b", **center)], ["iou"])
    assert product.labels == ["refinecam", "center at a", "center at b"]
    mixed = rank_maps([map_at("a", "gradcam"), map_at("input", "saliency"), map_at("a", **center)], ["iou"])
    assert mixed.labels == ["gradcam at a", "saliency at input", "center"]
