"""The lines of a run as one document: what `page.render` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep, insensitive_methods, summarize
from gradcam_cli.pipeline.config import SETTINGS
from gradcam_cli.report.entries import build_entries, escape_for_display
from gradcam_cli.report.run_records import Record

SETTING_KEYS = ("model", "weights", "preprocess", "layer", "method", "requested_class", *SETTINGS, "tol")
"""Keys of the records that the table of settings lists."""
MAX_LISTED = 8
"""Values of a setting that are listed."""


def build_document(records: Sequence[Record]) -> dict[str, Any]:
    """Return what the page shows of a run, but for its plots.

    Args:
        records: the lines of the run.
    """
    began: Record = next((record for record in records if record["status"] == "run"), {})
    end: Record = next((record for record in records if record["status"] == "end"), {})
    entries = build_entries(records, began)
    shown = metric_titles(records)
    counts = {kind: sum(entry["status"] == kind for entry in entries) for kind in ("ok", "failed", "skipped")}
    beyond: Record = next((record["counts"] for record in records if record["status"] == "beyond"), {})
    counts = {kind: count + beyond.get(kind, 0) for kind, count in counts.items()}
    total = sum(counts.values())
    notice = f"The gallery holds the first {len(entries):,} of {total:,} inputs." if beyond else None
    return {
        "command": began.get("command") or _infer_command(records),
        "line": escape_for_display(began["line"]) if "line" in began else None,
        "partial": _incomplete_notice(began, end, total),
        "started": began.get("started"),
        "seconds": end.get("seconds"),
        "settings": list(_settings(records)),
        "versions": list((began.get("versions") or _first_value(records, "versions") or {}).items()),
        "counts": counts,
        "notice": notice,
        "limits": [{"text": text, "missed": missed} for text, missed in end.get("limits", {}).items()],
        "tables": [
            table for table in (_means_table(records), _sanity_table(records), _drift_table(entries)) if table["rows"]
        ],
        "plots": [],
        "metrics": [{"name": name, **metric} for name, metric in shown.items()],
        "entries": entries,
    }


def metric_rows(records: Iterable[Record]) -> list[MetricRow]:
    """Return the rows of an evaluation."""
    return [
        MetricRow(record, record["method"], record["baseline"], record["metrics"], record["curves"])
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
    """Return the metrics that the lines hold, each with its title."""
    for record in records:
        if record["status"] == "ok" and "curves" in record:
            found = [(name, METRICS[name]) for name in record["metrics"]]
            return {name: {"title": one.title, "more_is_better": one.higher_is_better} for name, one in found}
        if record["status"] == "ok" and "before" in record:
            return {name: {"title": drift.title, "more_is_better": False} for name, drift in DRIFTS.items()}
    return {}


def _infer_command(records: Sequence[Record]) -> str:
    keys: Record = next((record for record in records if record["status"] == "ok"), {})
    special = {"before": "compare", "curves": "evaluate", "depths": "neuralode explain"}
    return next((command for key, command in special.items() if key in keys), "explain")


def _first_value(records: Iterable[Record], key: str) -> Any:
    return next((record[key] for record in records if record.get(key)), None)


def _incomplete_notice(run_start: Record, run_end: Record, num_inputs: int) -> str | None:
    """Return the sentence that tells of a run that did not come to its end."""
    if not run_start or (run_end and not run_end["interrupted"]):
        return None
    why = escape_for_display(run_end["interrupted"]) if run_end else "it was killed, or is still running"
    of = f" of {run_start['inputs']}" if run_start.get("inputs") else ""
    return f"This run did not come to its end ({why}): {num_inputs}{of} inputs are here."


def _settings(records: Sequence[Record]) -> Iterable[list[str]]:
    for key in SETTING_KEYS:
        values = {_format_setting(record[key]) for record in records if record.get(key) not in (None, False, "")}
        if values:
            listed = sorted(values)[:MAX_LISTED] + ["..."] * (len(values) > MAX_LISTED)
            yield [key.replace("_", " "), escape_for_display(", ".join(listed))]


def _format_setting(value: Any) -> str:
    if isinstance(value, dict):  # the weights
        return f"{value.get('name')} (SHA-256 {(value.get('sha256') or 'unknown')[:12]})"
    return "yes" if value is True else str(value)


def _means_table(records: Sequence[Record]) -> dict[str, Any]:
    rows = metric_rows(records)
    metrics = list(metric_titles(records)) if rows else []
    means = summarize(rows, metrics)
    several = len({row.metadata["layer"] for row in rows if not row.baseline}) > 1
    table = [
        [
            one["method"] + (f" at {one['layer']}" if several else "") + (" (baseline)" if one["baseline"] else ""),
            str(one["maps"]),
            *(_format_number(one[name]) for name in metrics),
        ]
        for one in means
    ]
    return {"title": "Means over the photos", "columns": ["map", "maps", *metrics], "rows": table}


def _sanity_table(records: Sequence[Record]) -> dict[str, Any]:
    steps = sanity_steps(records)
    same = insensitive_methods(steps)
    last = {(step.layer, step.method): step for step in steps}
    rows = [
        [
            method,
            layer,
            _format_number(step.rank),
            _format_number(step.ssim),
            "no" if (layer, method) in same else "yes",
        ]
        for (layer, method), step in last.items()
    ]
    columns = ["method", "layer", "rank correlation", "structural similarity", "shows what was learnt"]
    return {"title": "Sanity check: all layers random", "columns": columns, "rows": rows}


def _drift_table(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [
        (map_["metrics"], entry["name"]) for entry in entries for map_ in entry["maps"] if map_.get("run") == "after"
    ]
    rows = []
    for name, drift in DRIFTS.items() if found else ():
        worst, where = max(((values[name], where) for values, where in found), key=lambda pair: pair[0])
        row = [name, drift.title, _format_number(mean(values[name] for values, _ in found)), _format_number(worst)]
        rows.append([*row, where if worst else ""])
    return {"title": "Drift", "columns": ["drift", "what it says", "mean", "largest", "of"], "rows": rows}


def _format_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
