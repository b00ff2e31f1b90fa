"""The inputs of a run as the page shows them: an entry each, with its maps."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from gradcam_cli.console import escape_control_chars
from gradcam_cli.evaluation.drift import DRIFTS, MapChange
from gradcam_cli.evaluation.metrics.summary import WITHOUT_RELU
from gradcam_cli.methods.registry import INPUT_LAYER
from gradcam_cli.models.catalog import find_spec
from gradcam_cli.pipeline.config import DEFAULTS, MAP_SETTINGS
from gradcam_cli.report.run_records import RESULT_STATUSES, Record, input_name

ThresholdTuple = tuple[str, str, float]
"""A limit: the metric, `least` or `most`, and the value."""


def build_entries(records: Iterable[Record], run_start: Record) -> list[dict[str, Any]]:
    """Return an entry for each input, in the order of the lines."""
    inputs: dict[str, list[Record]] = {}
    for record in records:
        if record["status"] in RESULT_STATUSES:
            inputs.setdefault(input_name(record), []).append(record)
    return [_entry(source, group, run_start) for source, group in inputs.items()]


def _entry(source: str, records: Sequence[Record], run_start: Record) -> dict[str, Any]:
    done = [record for record in records if record["status"] == "ok"]
    failed = next((record for record in records if record["status"] in ("failed", "alone")), None)
    entry: dict[str, Any] = {
        "name": escape_for_display(source),
        "status": "ok" if done else "failed" if failed else "skipped",
    }
    if failed and not done:
        entry["error"] = escape_for_display(failed.get("error") or "in one run only")
        entry["hint"] = escape_for_display(failed["hint"]) if failed.get("hint") else None
    pictures: Record = next((record["report"] for record in done if record.get("report")), {})
    maps = [map_ for record in done for map_ in _maps(record, run_start)]
    first = maps[0] if maps else {"class": None, "p": None}
    return {
        **entry,
        "thumb": _url(pictures.get("thumb") or pictures.get("drawn")),
        "photo": _url(pictures.get("photo")),
        "size": pictures.get("size"),
        "top": [[_class_label(one["index"], one["name"]), one["probability"]] for one in _predictions(done)],
        "class": first["class"],
        "p": first["p"],
        "missed": sorted({name for record in done for name in _failed_thresholds(record, run_start.get("bounds", []))}),
        "metrics": next((map_["metrics"] for map_ in maps if map_["metrics"]), {}),
        "maps": maps,
    }


def _predictions(ok_records: Sequence[Record]) -> list[dict[str, Any]]:
    for record in ok_records:
        if top := record.get("top") or (record.get("report") or {}).get("top"):
            found: list[dict[str, Any]] = top
            return found
    return []


def _maps(record: Record, run_start: Record) -> Iterator[dict[str, Any]]:
    """Yield the maps of a line: one, those of all depths, or those before and after."""
    report: Record = record.get("report") or {}
    if "before" in record:
        for run in ("before", "after"):
            values = _drifts(record) if run == "after" else {}
            yield _map(
                {**report.get(run, {}), "input": record["input"]}, report.get(run, {}), run_start, values, run=run
            )
    elif record.get("depths"):
        for depth, picture in zip(
            record["depths"], report.get("pictures") or [None] * len(record["depths"]), strict=True
        ):
            shown = {**report, "picture": picture, "map": depth}
            yield _map(record, shown, run_start, {}, t=depth["t"], adjoint_norm=depth["adjoint_norm"])
    elif report or "metrics" not in record:
        yield _map(record, report, run_start, record.get("metrics", {}))


def _map(
    record: Record, report: Record, run_start: Record, metrics: dict[str, Any], **overrides: Any
) -> dict[str, Any]:
    numbers: Record = report.get("map") or record.get("map") or {}
    return {
        "class": _class_label(record.get("class_index"), record.get("class_name")),
        "p": record.get("probability"),
        "layer": escape_for_display(record.get("layer") or ""),
        "method": record.get("method") or "",
        "picture": _url(report.get("picture")),
        "drawn": _url(report.get("drawn")),
        "zero": numbers.get("zero"),
        "peak": numbers.get("peak"),
        "box": numbers.get("box"),
        "numbers": list(_numbers(numbers)),
        "metrics": metrics,
        "files": {kind: _url(path) for kind, path in report.get("files", {}).items()},
        "shell": " ".join(map(shell_quote, rerun_command(record, run_start))),
        **overrides,
    }


def _numbers(numbers: Record) -> Iterator[list[str]]:
    if numbers.get("raw_max") is not None:
        yield ["largest value of the raw map", f"{numbers['raw_max']:.4g}"]
    if numbers.get("mean") is not None:
        yield ["mean of the map", f"{numbers['mean']:.3f}"]
    if numbers.get("positive_weights") is not None:
        yield ["positive weights", f"{numbers['positive_weights']:.0%}"]


def rerun_command(record: Record, run_start: Record) -> list[str]:
    """Return the words of the command that makes a map again.

    Those that the run was given, and layer, method and class of the map.
    """
    path = record["input"]
    path = f"./{path}" if path.startswith("-") and path != "-" else path
    again = run_start.get("again") if run_start.get("command") != "compare" else None
    again = ["--model", _model(record), *_settings(record)] if again is None else again
    if "depths" in record:
        return ["gradcam", "neuralode", "explain", path, *again]
    layer = record.get("layer")
    words = ["--layer", layer] if layer and layer != INPUT_LAYER else []
    words += ["--method", record["method"]] if record.get("method", "gradcam") != "gradcam" else []
    return ["gradcam", path, *again, *words, "--class", str(record.get("class_index"))]


def _settings(record: Record) -> Iterator[str]:
    """Yield the options of the settings that differ from their defaults."""
    for name in MAP_SETTINGS:
        value = record.get(name, DEFAULTS[name])
        if value not in (None, DEFAULTS[name]):
            yield f"--{name.replace('_', '-')}"
            yield from () if value is True else (str(value),)


def _model(record: Record) -> str:
    """Return the model of a line as `--model` takes it: the name, or that of its file."""
    name = str(record.get("model"))
    return name if find_spec(name) else str(record.get("weights") or name)


def _drifts(record: Record) -> dict[str, float]:
    change = MapChange(**{name: record[name] for name in MapChange._fields})
    return {name: drift.compute(change) for name, drift in DRIFTS.items()}


def _failed_thresholds(record: Record, thresholds: Iterable[ThresholdTuple]) -> Iterator[str]:
    """Yield the metrics by which one line alone would miss a limit of the run."""
    if record.get("baseline") or record.get("method", "").endswith(WITHOUT_RELU):
        return
    values = _drifts(record) if "before" in record else record.get("metrics", {})
    for name, kind, limit in thresholds:
        value = values.get(name)
        if value is not None and (value < limit if kind == "least" else value > limit):
            yield name


def shell_quote(word: str) -> str:
    """Return a word as a shell reads it, on one line whatever it holds."""
    if escape_for_display(word) == word:
        return shlex.quote(word)
    parts = (chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return "$'" + "".join(parts) + "'"


def _class_label(index: int | None, name: str | None) -> str:
    return escape_for_display(name) if name else str(index)


def escape_for_display(text: str) -> str:
    """Return a text whose control and direction marks, and bytes that are no text, are seen as escapes."""
    return escape_control_chars(text).encode("utf-8", "backslashreplace").decode()


def _url(path: str | None) -> str | None:
    return quote(os.fsencode(path)) if path else None
