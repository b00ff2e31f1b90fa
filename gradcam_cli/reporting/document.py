"""The records of a run as the document that `page.render` shows."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.config import SETTINGS
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.reporting.entries import build_entries
from gradcam_cli.reporting.image_store import recorded_render
from gradcam_cli.reporting.plots import drift_plot, evaluation_plots
from gradcam_cli.reporting.rerun import escape_texts
from gradcam_cli.reporting.tables import drift_table, mean_metrics_table, sanity_check_table
from gradcam_cli.reporting.truth import confusion, truth_states

SETTING_KEYS = (
    *("model", "weights", "preprocess", "preprocess_reason", "layer", "method", "requested_class"),
    *(*SETTINGS, "tol"),
)
"""Keys of the records that the table of settings lists."""
MAX_LISTED_VALUES = 8
MAX_PLOTTED_GROUPS = 100
"""Maps (layer and method), and randomized layers, in the tables and plots of a report."""
T = TypeVar("T")
ENTRY_STATUSES = ("ok", "failed", "skipped")
VERBS = {"compare": "compared", "evaluate": "evaluated"}
"""What a command did to its inputs; all others explain them."""
OFFERED_COLORMAPS = ("viridis", "inferno", "cividis", "turbo", "jet", "gray")
"""Colormaps of the page, besides that of the run."""
COMMAND_KEYS = {"class_before": "compare", "curves": "evaluate", "depths": "neuralode explain"}
"""Keys of results that only one command writes."""


def build_document(records: Sequence[Record]) -> dict[str, Any]:
    """Return the document of a run.

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
    counts["ok"] += _num_undrawn_mosaics(records)
    total = sum(counts.values())
    rows, steps = metric_rows(records), sanity_steps(records)
    tables = (mean_metrics_table(rows, list(titles), run_start.get("seed") or 0), sanity_check_table(steps))
    names = [entry["name"] for entry in entries]
    command = run_start.get("command") or _infer_command(records)
    document = {
        "command": command,
        "command_line": run_start.get("command_line"),
        "partial": _incomplete_notice(run_start, run_end, total),
        "notice": _notice(len(entries), total, truncated.get("maps", 0), num_invalid(records)),
        "start": run_start.get("start"),
        "verb": VERBS.get(command, "explained"),
        "model": _models(records),
        **_colors(recorded_render(records)),
        "seconds": run_end.get("seconds"),
        "settings": list(_settings(records)),
        "versions": list((run_start.get("versions") or _first_value(records, "versions") or {}).items()),
        "counts": counts,
        "threshold_results": [
            {"threshold": threshold, "failure": failure}
            for threshold, failure in run_end.get("threshold_results", {}).items()
        ],
        "tables": [table for table in (*tables, drift_table(entries)) if table["rows"]],
        "truth_states": truth_states(entries, compared=command == "compare"),
        "only": run_start.get("only"),
        "plots": [*evaluation_plots(rows, list(titles) if rows else [], steps, names), *drift_plot(entries)],
        "metrics": [{"name": name, **metric} for name, metric in titles.items()],
    }
    return {**escape_texts(document), "confusion": confusion(entries), "entries": entries}


def _num_undrawn_mosaics(records: Iterable[Record]) -> int:
    """Return the number of mosaics that were evaluated and have no entry."""
    drawn = {record["input"]: False for record in records if record.get("tiles")}
    drawn |= {record["input"]: True for record in records if record.get("tiles") and record.get("report")}
    return sum(not each for each in drawn.values())


def metric_rows(records: Iterable[Record]) -> list[MetricRow]:
    """Return the rows of an evaluation."""
    rows: list[MetricRow] = []
    names: list[str] = []
    lengths: dict[str, int] = {}
    for record in records:
        if record["status"] != "ok" or "curves" not in record:
            continue
        names = names or list(record["metrics"])
        values = {name: record["metrics"].get(name) for name in names}
        curves = {
            name: curve
            for name, curve in record["curves"].items()
            if len(curve) == lengths.setdefault(name, len(curve))  # curves of another length have no common mean
        }
        rows.append(MetricRow(record, record["method"], record["baseline"], values, curves, record.get("relu", True)))
    return _first_groups(rows, lambda row: (row.metadata["layer"], row.method, row.relu))


def sanity_steps(records: Iterable[Record]) -> list[SanityStep]:
    """Return the steps of a sanity check."""
    steps = [
        SanityStep(**{key: record[key] for key in SanityStep._fields})
        for record in records
        if record["status"] == "sanity"
    ]
    steps = _first_groups(steps, lambda step: (step.layer, step.method))
    return _first_groups(steps, lambda step: step.last_randomized_layer)


def _first_groups(items: Sequence[T], key: Callable[[T], Hashable]) -> list[T]:
    """Return the items of the first groups, as many as a plot can show."""
    kept = set(itertools.islice(dict.fromkeys(map(key, items)), MAX_PLOTTED_GROUPS))
    return [item for item in items if key(item) in kept]


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


def _models(records: Iterable[Record]) -> str | None:
    """Return the names of the models of the results, or None."""
    runs = (run for record in records for run in (record, *_runs_of_comparison(record)))
    names = dict.fromkeys(name for run in runs if isinstance(name := run.get("model"), str))
    listed = [*itertools.islice(names, MAX_LISTED_VALUES), *(["..."] if len(names) > MAX_LISTED_VALUES else [])]
    return " and ".join(listed) or None


def _runs_of_comparison(record: Record) -> Iterable[Record]:
    report = record.get("report") or {}
    return [report[run] for run in ("before", "after") if run in report]


def _colors(options: RenderOptions) -> dict[str, Any]:
    """Return how the maps of the run are drawn, and the color tables that the page offers, in base64."""
    names = dict.fromkeys((options.cmap, *OFFERED_COLORMAPS))
    tables = {name: base64.b64encode(color_table(name).tobytes()).decode() for name in names}
    return {"cmap": options.cmap, "blend": options.blend, "colormaps": tables}


def _first_with_status(records: Iterable[Record], status: str) -> Record:
    return next((record for record in records if record["status"] == status), {})


def _first_value(records: Iterable[Record], key: str) -> Any:
    return next((record[key] for record in records if record.get(key)), None)


def _infer_command(records: Sequence[Record]) -> str:
    result = _first_with_status(records, "ok")
    return next((command for key, command in COMMAND_KEYS.items() if key in result), "explain")


def _incomplete_notice(run_start: Record, run_end: Record, num_inputs: int) -> str | None:
    """Return a notice if the run did not complete, otherwise None."""
    if not run_start or (run_end and not run_end.get("stop_reason")):
        return None
    reason = run_end["stop_reason"] if run_end else "killed or still running"
    total = f" of {run_start['inputs']:,}" if run_start.get("inputs") else ""
    return f"The run is incomplete ({reason}): this report contains {num_inputs:,}{total} inputs."


def _notice(num_entries: int, num_inputs: int, num_maps: int, invalid: int) -> str | None:
    """Return which results the page does not contain, or None if it contains all."""
    parts = [
        f"The gallery contains the first {num_entries:,} of {num_inputs:,} inputs." if num_entries < num_inputs else "",
        f"{num_maps:,} further maps are left out." if num_maps else "",
        f"{invalid:,} invalid results were skipped." if invalid else "",
    ]
    return " ".join(filter(None, parts)) or None


def num_invalid(records: Iterable[Record]) -> int:
    """Return the number of results that were skipped because they are invalid."""
    return sum(record["count"] for record in records if record["status"] == "invalid")


def _settings(records: Sequence[Record]) -> Iterable[list[str]]:
    for key in SETTING_KEYS:
        values = sorted(
            {_format_setting(record[key]) for record in records if record.get(key) not in (None, False, "", [])}
        )
        if values:
            listed = values[:MAX_LISTED_VALUES] + ["..."] * (len(values) > MAX_LISTED_VALUES)
            yield [key.replace("_", " "), ", ".join(listed)]


def _format_setting(value: Any) -> str:
    if isinstance(value, dict):  # the weights
        return f"{value.get('name')} (SHA-256 {(value.get('sha256') or 'unknown')[:12]})"
    return "yes" if value is True else str(value)
