"""The inputs of a run as entries of the page: one entry per input, with its maps."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from gradcam_cli.evaluation.correctness import BROKEN
from gradcam_cli.evaluation.drift import MapChange
from gradcam_cli.evaluation.metrics.summary import TILE_LISTS
from gradcam_cli.images.space import IMAGE, RANKS
from gradcam_cli.pipeline.config import DEFAULTS
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.reporting.record_fields import RESULT_STATUSES
from gradcam_cli.reporting.rerun import escape_texts, rerun_command, shell_quote
from gradcam_cli.reporting.run_records import input_name
from gradcam_cli.reporting.truth import class_labels, entry_truth
from gradcam_cli.storage.paths import is_url

RUNS = ("before", "after")
SHOWN_RUN = "after"
"""The run of a comparison whose map, class and probability an entry's card shows."""
MAX_LISTED_CLASSES = 12
"""Members of a group, or contrasted classes, that are listed."""
Threshold = tuple[str, str, float]
"""A metric, `min` or `max`, and the limit."""


def build_entries(records: Iterable[Record], run_start: Record) -> list[dict[str, Any]]:
    """Return one entry per input, in the order of the records; control characters in texts are escaped.

    A mosaic is an input; those that were not drawn are left out.
    """
    inputs: dict[str, list[Record]] = {}
    for record in records:
        if record["status"] in RESULT_STATUSES and not (record.get("tiles") and not record.get("report")):
            inputs.setdefault(input_name(record), []).append(record)
    labels = class_labels(record for group in inputs.values() for record in group)
    return [
        escape_texts({**_entry(source, group, run_start), "truth": entry_truth(group, labels)})
        for source, group in inputs.items()
    ]


def _entry(source: str, records: Sequence[Record], run_start: Record) -> dict[str, Any]:
    results = [record for record in records if record["status"] == "ok"]
    failure = next((record for record in records if record["status"] in ("failed", "unmatched")), None)
    entry: dict[str, Any] = {
        "name": source,
        "status": "ok" if results else "failed" if failure else "skipped",
    }
    if failure and not results:
        entry["error"] = failure.get("error") or "in one run only"
        entry["hint"] = failure.get("hint")
    if entry["status"] == "skipped" and records[0].get("hint"):
        entry["hint"] = records[0]["hint"]
    images: Record = next((record["report"] for record in results if record.get("report")), {})
    maps = [map_ for record in results for map_ in _maps(record, run_start)]
    shown = next((map_ for map_ in maps if map_.get("run") == SHOWN_RUN), maps[0] if maps else {})
    thumbnail = images.get(SHOWN_RUN, images).get("thumbnail") or images.get("thumbnail") or images.get("figure")
    thresholds = run_start.get("thresholds", [])
    return {
        **entry,
        "thumbnail": _url(thumbnail),
        "image": _url(images.get("image")),
        "size": images.get("size"),
        **_space(results, images),
        "predictions": _predictions(results),
        "class": shown.get("class"),
        "probability": shown.get("probability"),
        "failed_thresholds": sorted({name for record in results for name in _failed_thresholds(record, thresholds)}),
        "metrics": next((map_["metrics"] for map_ in maps if map_["metrics"]), {}),
        "maps": maps,
    }


def _space(results: Sequence[Record], images: Record) -> Record:
    """Return what the input is, unless it is an image: its kind, its spacing, and its slices, frames or lines."""
    runs = (run for record in results for run in (record, *((record.get("report") or {}).get(run, {}) for run in RUNS)))
    space: Record = next((run for run in runs if run.get("kind") not in (None, IMAGE.kind)), {})
    rank = RANKS[space.get("kind") or IMAGE.kind]
    if not space or len(images.get("size") or ()) != rank:
        return {}
    sheets = [{**sheet, "path": _url(sheet["path"])} for sheet in images.get("sheets", ())]
    inside = all(sheet["numbers"][-1] < images["size"][::-1][sheet["axis"]] for sheet in sheets)
    spacing = space.get("spacing") or ()
    return {
        "kind": space["kind"],
        "spacing": spacing if len(spacing) == rank else [0] * rank,
        "sheets": sheets if rank == 3 and inside else [],
        "signal": images.get("signal"),
    }


def _predictions(results: Sequence[Record]) -> list[list[Any]]:
    listed = (record.get("predictions") or (record.get("report") or {}).get("predictions") for record in results)
    return [
        [_class_label(prediction["index"], prediction["name"]), prediction["probability"], prediction["index"]]
        for prediction in next(filter(None, listed), [])
    ]


def _maps(record: Record, run_start: Record) -> Iterator[dict[str, Any]]:
    """Yield the maps of a record: a single map, the maps before and after, one map per depth, or one per tile."""
    report: Record = record.get("report") or {}
    if "class_before" in record:
        for run in RUNS:
            saved = report.get(run, {})
            drifts = MapChange.from_json(record).drifts if run == "after" else {}
            yield _map({**saved, "input": record["input"]}, saved, run_start, drifts, run=run)
    elif record.get("depths"):
        images, levels = (report.get(key, [])[: len(record["depths"])] for key in ("map_images", "all_levels"))
        for depth, map_image, numbers in zip_longest(record["depths"], images, levels):
            fields = {**report, "map_image": map_image, "levels": numbers, "map": depth}
            yield _map(record, fields, run_start, {}, t=depth["t"], adjoint_norm=depth["adjoint_norm"])
    elif record.get("tiles"):
        for i, tile in enumerate(record["tiles"]):
            drawn = {key: report[many][i] for key, many in TILE_LISTS.items() if i < len(report.get(many, ()))}
            shown = {**record, "class_index": tile["class_index"], "class_name": tile["class_name"]}
            if drawn:
                yield _map(shown, {**report, **drawn}, run_start, tile["metrics"], command="")
    elif report or "metrics" not in record:
        yield _map(record, report, run_start, record.get("metrics", {}))


def _map(
    record: Record, report: Record, run_start: Record, metrics: dict[str, Any], **further_fields: Any
) -> dict[str, Any]:
    summary: Record = report.get("map") or record.get("map") or {}
    return {
        "class": _class_label(record.get("class_index"), record.get("class_name")),
        "probability": record.get("probability"),
        "layer": record.get("layer") or "",
        "method": record.get("method") or "",
        "model": record.get("model") or "",
        "cells": _cells(record, summary),
        "raw_max": None if summary.get("raw_max") is None else float(f"{summary['raw_max']:.4g}"),
        "map_image": _url(report.get("map_image")),
        "levels": report.get("levels"),
        **({"profiles": report["profiles"]} if report.get("profiles") else {}),
        "figure": _url(report.get("figure")),
        "zero_reason": summary.get("zero_reason"),
        "peak": summary.get("peak"),
        "box": summary.get("box"),
        **({"detection": record["detection_box"]} if record.get("detection_box") else {}),
        "numbers": [*_classes(record), *_numbers(summary)],
        "metrics": metrics,
        "files": {kind: url for kind, path in report.get("files", {}).items() if (url := _url(path))},
        "command": " ".join(map(shell_quote, rerun_command(record, run_start))),
        **further_fields,
    }


def _cells(record: Record, summary: Record) -> str:
    """Return the size of the layer, `14x14`, or the number of windows whose maps were blended."""
    windows = record.get("windows")
    return f"in {windows:,} windows" if windows else "x".join(map(str, summary.get("cells") or ()))


def _classes(record: Record) -> Iterator[list[str]]:
    """Yield the members of a group, and the classes with which the explained one is contrasted, with their weight."""
    for key, title in (("class_members", "classes of the group"), ("against_classes", "contrasted with")):
        names = [_class_label(each["index"], each["name"]) for each in record.get(key) or ()]
        if names:
            listed = ", ".join(names[:MAX_LISTED_CLASSES]) + (", ..." if names[MAX_LISTED_CLASSES:] else "")
            weight = f"{record.get('gamma', DEFAULTS['gamma']):g} times " if key == "against_classes" else ""
            yield [title, f"{weight}{'the mean of ' if weight and len(names) > 1 else ''}{listed}"]


def _numbers(summary: Record) -> Iterator[list[str]]:
    if summary.get("raw_max") is not None:
        yield ["maximum before normalization", f"{summary['raw_max']:.4g}"]
    if summary.get("mean") is not None:
        yield ["mean of the map", f"{summary['mean']:.3f}"]
    if summary.get("positive_weight_fraction") is not None:
        yield ["positive channel weights", f"{summary['positive_weight_fraction']:.0%}"]


def _failed_thresholds(record: Record, thresholds: Iterable[Threshold]) -> Iterator[str]:
    """Yield the metrics whose value in this record alone fails a threshold of the run."""
    if record.get("baseline") or not record.get("relu", True):
        return
    values = record.get("metrics", {})
    if "class_before" in record:
        change = MapChange.from_json(record)
        values = {**change.drifts, BROKEN: float(change.correctness == BROKEN)}
    for name, kind, limit in thresholds:
        value = values.get(name)
        if value is not None and (value < limit if kind == "min" else value > limit):
            yield name


def _class_label(index: int | None, name: str | None) -> str:
    return name or str(index)


def _url(path: str | None) -> str | None:
    """Return the relative URL of a file in the directory of the report, or None for any other file."""
    if not path or path.startswith("/") or ".." in path.split("/") or is_url(path):
        return None
    return quote(os.fsencode(path))
