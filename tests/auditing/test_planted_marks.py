"""Trainings on CIFAR-10 with and without a planted mark: a short form of the series in docs/audit.md."""

import measure_audit
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytestmark = pytest.mark.extended


@pytest.mark.parametrize("seed", [201, 202])
@pytest.mark.parametrize("planted", [True, False])
def test_a_planted_mark_is_found_and_clean_classes_are_not_flagged(data, seed, planted):
    result = measure_audit.measure(data / "cifar10_jpeg.zip", seed, planted=planted)
    assert (result["found"], result["false_alarms"]) == (planted, 0)
