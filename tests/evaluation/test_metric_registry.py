"""The table of metrics: names, families and `all` as values of --metric."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.registry import METRICS, MOSAIC, families, metric_choices, select_metrics

FAITHFUL = ["average-drop", "increase-in-confidence", "deletion", "insertion", "road"]
LOCAL = ["pointing-game", "energy-pointing-game", "iou", "loc-error-top1", "loc-error-top5"]


def test_default_metrics():
    assert select_metrics([], annotated=False) == FAITHFUL
    assert select_metrics([], annotated=True) == [*FAITHFUL, *LOCAL]


def test_families_and_all():
    """In the order of the table; metrics that need annotations are part of them with annotations alone."""
    assert select_metrics(["family:complexity", "road"], annotated=False) == [
        "road",
        "entropy",
        "gini",
        "effective-complexity",
    ]
    assert select_metrics(["all"], annotated=True) == [name for name in METRICS if name not in MOSAIC]
    assert select_metrics(["family:mosaics"], annotated=False) == list(MOSAIC)
    without = select_metrics(["all"], annotated=False)
    assert without == [name for name in METRICS if METRICS[name].family not in ("localization", "mosaics")]
    assert set(metric_choices()) == {*METRICS, "all", *(f"family:{name}" for name in families())}


@pytest.mark.parametrize("name", ["iou", "family:localization"])
def test_metrics_that_need_annotations_are_refused_without(name):
    with pytest.raises(UsageError, match=f"{name} requires --annotations"):
        select_metrics(["entropy", name], annotated=False)


def test_each_family_is_one_block_of_the_table():
    in_order = [metric.family for metric in METRICS.values()]
    assert in_order == sorted(in_order, key=families().index)


def test_new_metrics_are_fifteen_or_more():
    assert len([name for name in METRICS if name not in (*FAITHFUL, *LOCAL)]) >= 15


@pytest.mark.parametrize("name", METRICS)
def test_titles_are_short(name):
    assert 10 < len(METRICS[name].title) <= 50
    assert METRICS[name].cost
