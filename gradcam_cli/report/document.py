"""The records of a run as the document that `page.render` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.pipeline.config import SETTINGS
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.report.entries import build_entries
from gradcam_cli.report.rerun import escape_for_display
from gradcam_cli.report.tables import drift_table, mean_metrics_table, sanity_check_table

SETTING_KEYS = ("model", "weights", "preprocess", "layer", "method", "requested_class", *SETTINGS, "tol")
"""Keys of the records that the table of settings lists."""
MAX_LISTED_VALUES = 8
ENTRY_STATUSES = ("ok", "failed", "skipped")
COMMAND_KEYS = {"class_before": "compare", "curves": "evaluate", "depths": "neuralode explain"}
"""Keys of results that only one command writes."""


def build_document(records: Sequence[Record]) -> dict[str, Any]:
    """Return the document of a run, without its plots.

    Args:
        records: the merged records of the run.
    """
    run_start, run_end = _first_with_status(records, "run_start"), _first_with_status(records, "run_end")
    entries = build_entries(records, run_start)
    titles = metric_titles(records)
    truncated: Record = _first_with_status(records, "truncated").get("counts", {})
    counts = {
        status: sum(entry["status"] == status for entry in entries) + truncated.get(status, 0)
        for status in ENTRY_STATUSES
    }
    total = sum(counts.values())
    tables = (mean_metrics_table(metric_rows(records), list(titles)), sanity_check_table(sanity_steps(records)))
    return {
        "command": run_start.get("command") or _infer_command(records),
        "command_line": escape_for_display(run_start["command_line"]) if "command_line" in run_start else None,
        "partial": _incomplete_notice(run_start, run_end, total),
        "notice": f"The gallery contains the first {len(entries):,} of {total:,} inputs." if truncated else None,
        "start": run_start.get("start"),
        "seconds": run_end.get("seconds"),
        "settings": list(_settings(records)),
        "versions": list((run_start.get("versions") or _first_value(records, "versions") or {}).items()),
        "counts": counts,
        "threshold_results": [
            {"threshold": threshold, "failure": failure}
            for threshold, failure in run_end.get("threshold_results", {}).items()
        ],
        "tables": [table for table in (*tables, drift_table(entries)) if table["rows"]],
        "plots": [],
        "metrics": [{"name": name, **metric} for name, metric in titles.items()],
        "entries": entries,
    }


def metric_rows(records: Iterable[Record]) -> list[MetricRow]:
    """Return the rows of an evaluation."""
    return [
        MetricRow(
            record, record["method"], record["baseline"], record["metrics"], record["curves"], record.get("relu", True)
        )
        for record in records
        if record["status"] == "ok" and "curves" in record
    ]


def sanity_steps(records: Iterable[Record]) -> list[SanityStep]:
    """Return the steps of a sanity check."""
    return [
        SanityStep(**{key: record[key] for key in SanityStep._fields})
        for record in records
        if record["status"] == "sanity"
    ]


def metric_titles(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return title and direction of the metrics that the records contain, by name."""
    for record in records:
        if record["status"] == "ok" and "curves" in record:
            metrics = {name: METRICS[name] for name in record["metrics"]}
            return {
                name: {"title": metric.title, "higher_is_better": metric.higher_is_better}
                for name, metric in metrics.items()
            }
        if record["status"] == "ok" and "class_before" in record:
            return {name: {"title": drift.title, "higher_is_better": False} for name, drift in DRIFTS.items()}
    return {}


def _first_with_status(records: Iterable[Record], status: str) -> Record:
    return next((record for record in records if record["status"] == status), {})


def _first_value(records: Iterable[Record], key: str) -> Any:
    return next((record[key] for record in records if record.get(key)), None)


def _infer_command(records: Sequence[Record]) -> str:
    result = _first_with_status(records, "ok")
    return next((command for key, command in COMMAND_KEYS.items() if key in result), "explain")


def _incomplete_notice(run_start: Record, run_end: Record, num_inputs: int) -> str | None:
    """Return a notice if the run did not complete, otherwise None."""
    if not run_start or (run_end and not run_end["stop_reason"]):
        return None
    reason = escape_for_display(run_end["stop_reason"]) if run_end else "killed or still running"
    total = f" of {run_start['inputs']:,}" if run_start.get("inputs") else ""
    return f"The run is incomplete ({reason}): this report contains {num_inputs:,}{total} inputs."


def _settings(records: Sequence[Record]) -> Iterable[list[str]]:
    for key in SETTING_KEYS:
        values = sorted(
            {_format_setting(record[key]) for record in records if record.get(key) not in (None, False, "")}
        )
        if values:
            listed = values[:MAX_LISTED_VALUES] + ["..."] * (len(values) > MAX_LISTED_VALUES)
            yield [key.replace("_", " "), escape_for_display(", ".join(listed))]


def _format_setting(value: Any) -> str:
    if isinstance(value, dict):  # the weights
        return f"{value.get('name')} (SHA-256 {(value.get('sha256') or 'unknown')[:12]})"
    return "yes" if value is True else str(value)
