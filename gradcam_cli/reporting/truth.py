"""True and predicted classes in a report: the state of each input, and the confusion table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradcam_cli.evaluation.correctness import BROKEN, CORRECTNESS, correctness
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.truth import STATES, state_of

MAX_CLASSES = 16
"""Classes of a confusion table; with more, only the most confused pairs are listed."""
MAX_PAIRS = 30
NUM_LEVELS = 4
"""Shades of the cells."""
STATE_LABELS = {
    **{state: state for state in STATES},
    "mended": "mended (wrong before, right after)",
    BROKEN: "broken (right before, wrong after)",
}
_IN_BOTH = {"right": "right in both runs", "wrong": "wrong in both runs"}

Labels = Mapping[tuple[int | None, str | None], str]
"""The label of each class, by index and name."""


def class_labels(records: Iterable[Record]) -> Labels:
    """Return the labels of the true and predicted classes: their names, with the index if several have this name."""
    classes = {
        (truth.get(f"{which}_index"), truth.get(f"{which}_name"))
        for record in records
        for truth in _truths(record)
        for which in ("class", "predicted")
    }
    counts = Counter(name for _, name in classes)
    return {
        (index, name): str(index) if not name else f"{index} {name}" if counts[name] > 1 else name
        for index, name in classes
    }


def entry_truth(records: Sequence[Record], labels: Labels) -> dict[str, Any] | None:
    """Return the truth of an input for its entry, or None without a true class.

    Args:
        records: of the input.
        labels: from `class_labels`.
    """
    record = next((record for record in records if _truths(record)), None)
    if record is None:
        return None
    truth = _truths(record)[-1]
    compared = "class_before" in record
    state = correctness(record.get("truth_before"), record.get("truth_after")) if compared else state_of(truth)
    return {
        "state": state,
        "true": None if truth["class_index"] is None else labels[truth["class_index"], truth["class_name"]],
        "predicted": labels[truth["predicted_index"], truth.get("predicted_name")],
        "probability": truth.get("probability"),
        "rank": truth.get("rank"),
        "unknown": truth.get("unknown"),
    }


def truth_states(entries: Iterable[Mapping[str, Any]], *, compared: bool = False) -> list[dict[str, Any]]:
    """Return the states that occur, with their labels and the number of inputs.

    Args:
        entries: of the report.
        compared: whether they are those of a comparison, with the states of `CORRECTNESS`.
    """
    labels = STATE_LABELS | (_IN_BOTH if compared else {})
    counts = Counter(entry["truth"]["state"] for entry in entries if entry.get("truth"))
    return [
        {"value": state, "label": labels[state], "count": counts[state]}
        for state in dict.fromkeys((*STATES, *CORRECTNESS))
        if counts[state]
    ]


def confusion(entries: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the confusion table of the inputs with a known true class, or None without any.

    Returns:
        `classes`, the labels of the columns and rows; `rows` of cells with `true`, `predicted`, `count` and `level`,
        the shade 0 to `NUM_LEVELS`. With more than `MAX_CLASSES` classes both are empty. `pairs`: the most confused
        pairs with their counts, most frequent first; `num_pairs`: how many there are.
    """
    counts = Counter(
        (entry["truth"]["true"], entry["truth"]["predicted"])
        for entry in entries
        if entry.get("truth") and entry["truth"]["true"] is not None
    )
    if not counts:
        return None
    classes = sorted({name for pair in counts for name in pair}, key=str.casefold)
    wrong = [(pair, count) for pair, count in counts.items() if pair[0] != pair[1]]
    wrong.sort(key=lambda item: (-item[1], item[0]))
    totals = Counter[str]()
    for (true, _), count in counts.items():
        totals[true] += count
    fits = len(classes) <= MAX_CLASSES
    return {
        "classes": classes if fits else [],
        "num_classes": len(classes),
        "rows": [_row(true, classes, counts, totals[true]) for true in classes if totals[true]] if fits else [],
        "pairs": [{"true": true, "predicted": name, "count": count} for (true, name), count in wrong[:MAX_PAIRS]],
        "num_pairs": len(wrong),
        "right": sum(count for (true, name), count in counts.items() if true == name),
        "total": counts.total(),
    }


def _row(true: str, classes: Sequence[str], counts: Mapping[tuple[str, str], int], total: int) -> dict[str, Any]:
    cells = [(name, counts[true, name]) for name in classes]
    return {
        "true": true,
        "total": total,
        "right": counts[true, true],
        "cells": [
            {"predicted": name, "count": count, "level": -(-NUM_LEVELS * count // total)} for name, count in cells
        ],
    }


def _truths(record: Record) -> list[Mapping[str, Any]]:
    """Return the truths of a record: one, or those of both runs of a comparison."""
    return [truth for key in ("truth", "truth_before", "truth_after") if (truth := record.get(key))]
