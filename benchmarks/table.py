"""From single runs to one Markdown table for each suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

HEADINGS = ("case", "precision", "tool", "version", "ms", "range", "ratio", "memory")
TEXT_COLUMNS = 4
UNITS = {
    "images": "ms per image (cold-start: per process)",
    "methods": "ms per image",
    "odes": "ms per solve",
    "training": "ms per step",
}
REFERENCE = "gradcam"
REFERENCE_CASES = {"forward": "overlay"}
EARLY, LATE = 5, 10

Run = dict[str, Any]
"""What one process measured: suite, case, precision, tool, version, repeat, ms, memory_mb, extras."""


def tables(runs: Sequence[Run]) -> str:
    """Return a table for each suite that was run."""
    suites = dict.fromkeys(run["suite"] for run in runs)
    return "\n\n".join(suite_table(suite, [run for run in runs if run["suite"] == suite]) for suite in suites)


def suite_table(suite: str, runs: Sequence[Run]) -> str:
    """Return a suite's table: case by case, the fastest tool first.

    `ms` is the median over the repeats, `range` the minimum and the maximum. `ratio` is the median over the repeats
    of a tool's time divided by gradcam's time in the same repeat; 2 means twice as slow as gradcam.
    """
    groups: dict[tuple[str, str, str], list[Run]] = {}
    for run in compare_losses(runs):
        groups.setdefault((run["case"], run["precision"], run["tool"]), []).append(run)
    extras = list(dict.fromkeys(name for run in runs for name in run["extras"]))
    order = {key[:2]: number for number, key in reversed(list(enumerate(groups)))}
    rows = sorted(groups.items(), key=lambda item: (order[item[0][:2]], median(run["ms"] for run in item[1])))
    lines = []
    for (case, precision, tool), group in rows:
        reference = groups.get((REFERENCE_CASES.get(case, case), precision, REFERENCE), [])
        lines.append([case, precision, tool, *numbers(group, reference, extras)])
    headings = [*HEADINGS, *extras]
    rule = ["---"] * TEXT_COLUMNS + ["---:"] * (len(headings) - TEXT_COLUMNS)
    return f"### {suite}: {UNITS[suite]}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in [headings, rule, *lines])


def numbers(group: Sequence[Run], reference: Sequence[Run], extras: Iterable[str]) -> list[str]:
    """Return the cells of a row after the tool's name."""
    times = [run["ms"] for run in group]
    reference_ms = {run["repeat"]: run["ms"] for run in reference}
    ratios = [run["ms"] / reference_ms[run["repeat"]] for run in group if run["repeat"] in reference_ms]
    last = group[-1]["extras"]
    return [
        group[0]["version"],
        format_number(median(times)),
        f"{format_number(min(times))}-{format_number(max(times))}",
        f"{median(ratios):.3f}" if ratios else "",
        f"{max(run['memory_mb'] for run in group):,} MB",
        *(format_number(last[name]) if name in last else "" for name in extras),
    ]


def format_number(x: float) -> str:
    """Return a number with four significant digits, small ones with an exponent."""
    return f"{x:.1e}" if 0 < abs(x) < 0.01 else f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def compare_losses(runs: Sequence[Run]) -> Sequence[Run]:
    """Add the relative difference of the losses from gradcam's: the largest of the first steps, and of the last mean.

    Equal starting weights and batches give equal losses, up to the rounding and the tolerance of the solves.
    """
    reference = {run["case"]: run["losses"] for run in runs if "losses" in run and run["tool"] == REFERENCE}
    for run in runs:
        expected = reference.get(run["case"])
        if expected and run["tool"] != REFERENCE:
            early = zip(run["losses"][:EARLY], expected[:EARLY], strict=True)
            last = sum(run["losses"][-LATE:]) / sum(expected[-LATE:])
            run["extras"]["first losses"] = max(abs(x / y - 1) for x, y in early)
            run["extras"]["last losses"] = abs(last - 1)
    return runs
