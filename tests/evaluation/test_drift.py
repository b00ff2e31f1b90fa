"""Drift between two runs, and its JSON objects."""

import json

import numpy as np
import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.drift import DRIFTS, MapChange, compare_maps
from gradcam_cli.pipeline.saved import COMPARABLE_KEYS, SavedMap


def saved(cam, index=0, name=None, **metadata):
    """Return a saved map whose heatmap has the resolution of the layer."""
    common = {**dict.fromkeys(COMPARABLE_KEYS, "x"), "input": "a.jpg", "class_index": index, "class_name": name}
    cam = np.asarray(cam, np.float32)
    return SavedMap({**common, **metadata}, cam / cam.max(), cam)


def test_drift_by_hand():
    """Ranks 1 2 3 4 and 2 1 4 3 correlate by 0.6; the largest of five values and the peak are at another pixel."""
    change = compare_maps("a.npz", saved([[1, 2], [3, 4]], 1, "dog"), saved([[2, 1], [4, 3]], 3, "cat"))
    assert change.class_changed
    assert change.rank == pytest.approx(0.6)
    assert change.top_iou == 0
    assert change.peak_shift == pytest.approx(1 / np.sqrt(2))
    drifts = {name: drift.compute(change) for name, drift in DRIFTS.items()}
    assert drifts["class-change"] == 1
    assert drifts["rank"] == pytest.approx(0.4)
    assert drifts["top-iou"] == 1


def test_drift_of_signals_and_volumes_by_hand():
    """The peak moves by 2 of 4 samples, or by 3 slices and 4 columns of a diagonal of (3, 0, 4): the whole of it."""
    signal = compare_maps("a.npz", saved([1, 2, 5, 3, 4]), saved([1, 2, 3, 4, 5]))
    assert signal.peak_shift == pytest.approx(2 / 4)
    assert signal.rank == pytest.approx(1 - 6 * (4 + 1 + 1) / (5 * 24))
    first, last = np.zeros((2, 4, 1, 5))
    first[0, 0, 0] = last[3, 0, 4] = 1
    volume = compare_maps("a.npz", saved(first), saved(last))
    assert (volume.peak_shift, volume.top_iou) == (1, pytest.approx(3 / 5))


def test_change_equals_its_json():
    change = compare_maps("a.npz", saved([[1, 2]], 1, "dog"), saved([[2, 1]], 3))
    record = json.loads(json.dumps(change.to_dict()))
    assert record["class_before"] == {"index": 1, "name": "dog"}
    assert record["class_after"] == {"index": 3, "name": None}
    assert MapChange.from_json(record).to_dict() == record


def test_most_changed_maps_come_first(tmp_path):
    reference = saved([[1, 2], [3, 4]])
    others = {"same": [[1, 2], [3, 4]], "inverted": [[4, 3], [2, 1]], "swapped": [[2, 1], [4, 3]]}
    changes = [compare_maps(name, reference, saved(cam)) for name, cam in others.items()]
    comparison = Comparison(tmp_path, tmp_path, changes, [])
    assert [change.name for change in comparison.most_changed(2)] == ["inverted", "swapped"]
    assert comparison.drifts["rank"] == pytest.approx((0 + 2 + 0.4) / 3)


@pytest.mark.parametrize("key", COMPARABLE_KEYS)
def test_maps_with_different_settings_cannot_be_compared(key):
    with pytest.raises(UsageError, match=key):
        compare_maps("a.npz", saved([[1, 2]]), saved([[1, 2]], **{key: "y"}))


def test_maps_of_images_of_different_sizes_cannot_be_compared():
    with pytest.raises(UsageError, match=r"a\.npz"):
        compare_maps("a.npz", saved([[1, 2]]), saved([[1, 2], [3, 4]]))
