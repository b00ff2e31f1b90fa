"""The lines of a run as one document: what `page.render` shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean
from typing import Any

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import Row, Step, insensitive, summarise
from gradcam_cli.report.entries import entries_of, visible
from gradcam_cli.report.run_records import Record

SETTINGS = (
    *("model", "weights", "layer", "method", "class_asked", "score", "fit", "preprocessing", "precision", "batch_size"),
    *("zoom_order", "counterfactual", "smooth", "tolerance"),
)
"""Keys of the lines that tell how maps were made."""
MOST = 8
"""Values of a setting that are listed."""


def document_of(records: Sequence[Record]) -> dict[str, Any]:
    """Return what the page shows of a run, but for its plots.

    Args:
        records: the lines of the run.
    """
    began: Record = next((record for record in records if record["status"] == "run"), {})
    end: Record = next((record for record in records if record["status"] == "end"), {})
    entries = entries_of(records, began)
    shown = metrics_of(records)
    counts = {kind: sum(entry["status"] == kind for entry in entries) for kind in ("ok", "failed", "skipped")}
    beyond: Record = next((record["counts"] for record in records if record["status"] == "beyond"), {})
    counts = {kind: count + beyond.get(kind, 0) for kind, count in counts.items()}
    total = sum(counts.values())
    notice = f"The gallery holds the first {len(entries):,} of {total:,} inputs." if beyond else None
    return {
        "command": began.get("command") or _guess(records),
        "line": visible(began["line"]) if "line" in began else None,
        "partial": _partial(began, end, total),
        "started": began.get("started"),
        "seconds": end.get("seconds"),
        "settings": list(_settings(records)),
        "versions": list((began.get("versions") or _first(records, "versions") or {}).items()),
        "counts": counts,
        "notice": notice,
        "limits": [{"text": text, "missed": missed} for text, missed in end.get("limits", {}).items()],
        "tables": [table for table in (_means(records), _sanity(records), _drift_table(entries)) if table["rows"]],
        "plots": [],
        "metrics": [{"name": name, **metric} for name, metric in shown.items()],
        "entries": entries,
    }


def rows_of(records: Iterable[Record]) -> list[Row]:
    """Return the rows of an evaluation."""
    return [
        Row(record, record["method"], record["baseline"], record["metrics"], record["curves"])
        for record in records
        if record["status"] == "ok" and "curves" in record
    ]


def steps_of(records: Iterable[Record]) -> list[Step]:
    """Return the steps of a sanity check."""
    return [Step(**{key: record[key] for key in Step._fields}) for record in records if record["status"] == "sanity"]


def metrics_of(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return the metrics that the lines hold, each with its title."""
    for record in records:
        if record["status"] == "ok" and "curves" in record:
            found = [(name, METRICS[name]) for name in record["metrics"]]
            return {name: {"title": one.title, "more_is_better": one.more_is_better} for name, one in found}
        if record["status"] == "ok" and "before" in record:
            return {name: {"title": drift.title, "more_is_better": False} for name, drift in DRIFTS.items()}
    return {}


def _guess(records: Sequence[Record]) -> str:
    keys: Record = next((record for record in records if record["status"] == "ok"), {})
    special = {"before": "compare", "curves": "evaluate", "depths": "neuralode explain"}
    return next((command for key, command in special.items() if key in keys), "explain")


def _first(records: Iterable[Record], key: str) -> Any:
    return next((record[key] for record in records if record.get(key)), None)


def _partial(began: Record, end: Record, done: int) -> str | None:
    """Return the sentence that tells of a run that did not come to its end."""
    if not began or (end and not end["interrupted"]):
        return None
    why = visible(end["interrupted"]) if end else "it was killed, or is still running"
    of = f" of {began['inputs']}" if began.get("inputs") else ""
    return f"This run did not come to its end ({why}): {done}{of} inputs are here."


def _settings(records: Sequence[Record]) -> Iterable[list[str]]:
    for key in SETTINGS:
        values = {_setting(record[key]) for record in records if record.get(key) not in (None, False, "")}
        if values:
            listed = sorted(values)[:MOST] + ["..."] * (len(values) > MOST)
            yield [key.replace("_", " "), visible(", ".join(listed))]


def _setting(value: Any) -> str:
    if isinstance(value, dict):  # the weights
        return f"{value.get('name')} (SHA-256 {(value.get('sha256') or 'unknown')[:12]})"
    return "yes" if value is True else str(value)


def _means(records: Sequence[Record]) -> dict[str, Any]:
    rows = rows_of(records)
    metrics = list(metrics_of(records)) if rows else []
    means = summarise(rows, metrics)
    several = len({row.identity["layer"] for row in rows if not row.baseline}) > 1
    table = [
        [
            one["method"] + (f" at {one['layer']}" if several else "") + (" (baseline)" if one["baseline"] else ""),
            str(one["maps"]),
            *(_number(one[name]) for name in metrics),
        ]
        for one in means
    ]
    return {"title": "Means over the photos", "columns": ["map", "maps", *metrics], "rows": table}


def _sanity(records: Sequence[Record]) -> dict[str, Any]:
    steps = steps_of(records)
    same = insensitive(steps)
    last = {(step.layer, step.method): step for step in steps}
    rows = [
        [method, layer, _number(step.rank), _number(step.ssim), "no" if (layer, method) in same else "yes"]
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
        row = [name, drift.title, _number(mean(values[name] for values, _ in found)), _number(worst)]
        rows.append([*row, where if worst else ""])
    return {"title": "Drift", "columns": ["drift", "what it says", "mean", "largest", "of"], "rows": rows}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
