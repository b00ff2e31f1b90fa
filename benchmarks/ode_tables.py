"""From what odes.py measured to the tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from ode_contenders import LEARNERS, PROBLEMS, SLOW, SOLVERS


class Cost(NamedTuple):
    """A row of the first table, in seconds; the ratio's median, least and most."""

    problem: str
    way: str
    contender: str
    own: float
    solver: float
    ratio: float
    least: float
    most: float
    evaluations: int
    solve: float
    error: float | None


WHOLE = {"forward": "forward", "adjoint": "gradient"}
"""For each way what a run says of the whole solve."""


def summarise(costs: list[dict[str, Any]], judged: list[dict[str, Any]]) -> list[Cost]:
    """Return the rows, problem by problem, forward first."""
    errors = {(row["problem"], row["contender"]): row["error"] for row in judged}
    names = [solver.name for solver in SOLVERS]
    groups = {
        (problem, way, name): [
            run for run in costs if (run["problem"], run["contender"]) == (problem, name) and WHOLE[way] in run
        ]
        for problem in PROBLEMS
        for way in WHOLE
        for name in names
    }
    return [_cost(*key, runs, errors.get((key[0], key[2]))) for key, runs in groups.items() if runs]


def _cost(problem: str, way: str, contender: str, runs: list[dict[str, Any]], errors: dict[str, float] | None) -> Cost:
    whole = parts = [run[WHOLE[way]] for run in runs]
    own, count = "f", "forward_evaluations"
    if way == "adjoint":
        own, count = "vjp", "backward_evaluations"
        parts = [run["gradient"] - run["forward"] for run in runs]
    each = [part / run[count] for part, run in zip(parts, runs, strict=True)]
    ratios = [solver / run[own] for solver, run in zip(each, runs, strict=True)]
    return Cost(
        problem,
        way,
        contender,
        median(run[own] for run in runs),
        median(each),
        median(ratios),
        min(ratios),
        max(ratios),
        runs[-1][count],
        median(whole),
        errors["z1" if way == "forward" else "of_theta"] if errors else None,
    )


COST_HEADINGS = (
    "f",
    "way",
    "contender",
    "f alone, µs",
    "solver, µs",
    "ratio",
    "least-most",
    "evaluations",
    "whole solve, ms",
    "error",
)


def cost_cells(row: Cost) -> list[str]:
    """Return the cells of a line of the first table."""
    numbers = [f"{1e6 * x:,.{1 if x < 1e-4 else 0}f}" for x in (row.own, row.solver)]
    ratio = [f"{row.ratio:.2f}", f"{row.least:.2f}-{row.most:.2f}"]
    error = "" if row.error is None else f"{row.error:.0e}"
    solve = [str(row.evaluations), f"{1e3 * row.solve:,.1f}", error]
    return [row.problem, row.way, row.contender, *numbers, *ratio, *solve]


SPIRAL_HEADINGS = ("way", "iterations", "seconds", "ms", "times XLA's ms", "evaluations", "fit", "least-most")


def spiral_cells(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return the lines of the second table."""
    groups = {learner.name: [run for run in runs if run["learner"] == learner.name] for learner in LEARNERS}
    groups = {name: some for name, some in groups.items() if some}
    least = median(run["an_iteration"] for run in next(iter(groups.values()))) if groups else 1
    lines = []
    for name, some in groups.items():
        an_iteration = median(run["an_iteration"] for run in some)
        fits = [fit for run in some for fit in run["fits"]]
        evaluations = [run["evaluations"] for run in some if "evaluations" in run]
        lines.append(
            [
                name,
                f"{some[0]['iterations']:,}",
                f"{median(run['seconds'] for run in some):.1f}",
                f"{1e3 * an_iteration:.2f}",
                f"{an_iteration / least:.1f}",
                f"{median(evaluations):.0f}" if evaluations else "",
                "" if name in SLOW else f"{median(fits):.3f}",
                "" if name in SLOW else f"{min(fits):.3f}-{max(fits):.3f}",
            ]
        )
    return lines


def table(headings: Sequence[str], words: int, lines: Iterable[Sequence[str]]) -> str:
    """Return a table; the columns after so many words are numbers."""
    rule = ["---"] * words + ["---:"] * (len(headings) - words)
    return "\n".join("| " + " | ".join(line) + " |" for line in [headings, rule, *lines])
