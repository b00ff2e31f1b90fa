"""The values of a signal in a page, which draws them as lines."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from gradcam_cli.output.views.signal import MAX_CHANNELS, thin_out
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.fields import Check, FieldError
from gradcam_cli.reporting.levels import bytes_of

MAX_POINTS = 1500
"""Points of a line."""
MAX_LEVEL = 65535
Lines = dict[str, Any]
"""`num_channels` of the signal; `channels`: `low`, `high` and `values` of the first ones, as `signal.js` reads them."""


def encode_signal(values: np.ndarray) -> Lines:
    """Return the lines of a signal: value = low + level / 65535 * (high - low), little-endian uint16 in base64.

    The points are evenly spaced. Of a signal with more than 1500 values, they are the smallest and the largest value
    of each of 750 parts, in their order.

    Args:
        values: (T, k).
    """
    return {
        "num_channels": values.shape[1],
        "channels": [_encode_channel(values[:, channel]) for channel in range(min(values.shape[1], MAX_CHANNELS))],
    }


def _encode_channel(values: np.ndarray) -> Lines:
    _, points, _ = thin_out(values, np.zeros(len(values)), MAX_POINTS // 2)
    low, high = (float(end) for end in (points.min(), points.max()))
    fractions = (points.astype(np.float64) - low) / ((high - low) or 1.0)
    levels = np.round(fractions * MAX_LEVEL).astype("<u2")
    return {"low": low, "high": high, "values": base64.b64encode(levels.tobytes()).decode()}


_is_channel = fields.record(
    {"low": fields.number(), "high": fields.number(), "values": bytes_of(2 * MAX_POINTS)}, ("low", "high", "values")
)


def _channel(value: Any) -> Lines:
    """A channel of at least one point, with two bytes for each."""
    channel: Lines = _is_channel(value)
    num_bytes = len(base64.b64decode(channel["values"]))
    if not num_bytes or num_bytes % 2 or channel["low"] > channel["high"]:
        raise FieldError("two bytes per point, and low up to high", value)
    return channel


SIGNAL: Check = fields.nullable(
    fields.record(
        {"num_channels": fields.integer(1), "channels": fields.list_of(_channel, 1, MAX_CHANNELS)},
        ("num_channels", "channels"),
    )
)
"""The kind of the lines of a signal in a run log."""
