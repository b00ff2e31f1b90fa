"""The settings of a run: the table in the summary, and the model in the header of the page."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Any

from gradcam_cli.pipeline.config import SETTINGS
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.report.rerun import model_args

SETTING_KEYS = (
    *("model", "model_options", "weights", "preprocess", "layer", "method", "requested_class"),
    *(*SETTINGS, "tol", "solver"),
)
"""Keys of the records that the table of settings lists."""
MAX_LISTED_VALUES = 8


def settings_table(records: Iterable[Record]) -> Iterator[list[str]]:
    """Yield the name and the values of each setting; of a comparison, those before and after if they differ."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        for run, values in _values_by_run(record):
            runs.setdefault(run, []).append(values)
    for key in SETTING_KEYS:
        if text := _format_runs({run: _list_values(key, values) for run, values in runs.items()}):
            yield [key.replace("_", " "), text]


def model_name(settings: Iterable[list[str]]) -> str | None:
    """Return the model in a table of settings."""
    return next((text for label, text in settings if label == "model"), None)


def _values_by_run(record: Record) -> Iterator[tuple[str, Record]]:
    if "class_before" not in record:
        yield "", record
        return
    for run in ("before", "after"):
        yield run, (record.get("report") or {}).get(run, {})


def _format_runs(texts: dict[str, str]) -> str:
    """Return the values of all runs once, or `BEFORE → AFTER`."""
    if texts.get("before", "") == texts.get("after", ""):
        return next(filter(None, texts.values()), "")
    return " → ".join(texts[run] or "none" for run in ("before", "after"))


def _list_values(key: str, records: Iterable[Record]) -> str:
    given = (record[key] for record in records if record.get(key) and record[key] != {"model": record.get("model")})
    values = sorted(set(map(_format_value, given)))
    return ", ".join(values[:MAX_LISTED_VALUES] + ["..."] * (len(values) > MAX_LISTED_VALUES))


def _format_value(value: Any) -> str:
    if not isinstance(value, dict):
        return "yes" if value is True else str(value)
    if "model" in value:
        return shlex.join(model_args(value))
    return f"{value.get('name')} (SHA-256 {(value.get('sha256') or 'unknown')[:12]})"
