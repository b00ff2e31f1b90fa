"""The values of a signal in a report."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from gradcam_cli.pipeline.fields import FieldError
from gradcam_cli.reporting.levels import within_budget
from gradcam_cli.reporting.signal_lines import SIGNAL, encode_signal


def values_of(channel):
    levels = np.frombuffer(base64.b64decode(channel["values"]), "<u2")
    return channel["low"] + levels / 65535 * (channel["high"] - channel["low"])


def test_short_signals_are_stored_value_by_value():
    """They differ by at most half of a level; a constant channel is exact."""
    values = np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32)
    values[:, 1] = 2.5
    signal = encode_signal(values)
    assert signal["num_channels"] == 2
    first, second = map(values_of, signal["channels"])
    np.testing.assert_allclose(first, values[:, 0], atol=0.51 / 65535 * np.ptp(values[:, 0]))
    np.testing.assert_array_equal(second, values[:, 1])


def test_long_signals_keep_their_spikes():
    """Of 100,000 values, 1500 are stored; a spike of one sample is in its place and has its value."""
    values = np.zeros((100_000, 1), np.float32)
    values[70_001] = 3
    (channel,) = encode_signal(values)["channels"]
    points = values_of(channel)
    assert len(points) == 1500
    assert points.max() == pytest.approx(3)
    assert abs(points.argmax() / 1500 - 0.70001) < 2 / 1500


def test_at_most_twelve_channels_are_stored():
    signal = encode_signal(np.zeros((5, 20), np.float32))
    assert (signal["num_channels"], len(signal["channels"])) == (20, 12)


@pytest.mark.parametrize(
    "change",
    [
        {"values": ""},
        {"values": base64.b64encode(bytes(3)).decode()},
        {"values": "<script>"},
        {"values": base64.b64encode(bytes(2 * 1501)).decode()},
        {"low": 2, "high": 1},
        {"high": "1"},
        {"low": float("nan")},
    ],
)
def test_damaged_signals_are_refused(change):
    valid = encode_signal(np.arange(8, dtype=np.float32)[:, None])
    assert SIGNAL(valid) == valid
    with pytest.raises(FieldError):
        SIGNAL({**valid, "channels": [{**valid["channels"][0], **change}]})


def test_signals_count_for_the_limit_of_a_page():
    signal = encode_signal(np.zeros((6, 1), np.float32))
    record = {"report": {"figure": "a.jpg", "signal": signal}}
    assert list(within_budget([record, record], 16)) == [record, {"report": {"figure": "a.jpg"}}]
