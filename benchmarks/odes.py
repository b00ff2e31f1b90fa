"""Run gradcam's ODE solver beside torchdiffeq's and diffrax's.

`python benchmarks/odes.py` installs the three into benchmarks/.envs, writes odes.json beside this file and the page
anew, of which this is a section; it takes about ten minutes on an idle machine. `--quick` only tries whether all runs,
and writes to benchmarks/runs/part.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench import RUNS, RunError, quiet
from environments import (
    DIFFRAX,
    HERE,
    OURS,
    ROOT,
    TORCHDIFFEQ,
    InstallError,
    make_environment,
    python_of,
    reason,
    versions_in,
)
from machine import describe_machine
from ode_contenders import LEARNERS, PROBLEMS, SLOW, SOLVERS, Contender
from ode_page import section
from page import page

PLACE = RUNS / "odes"
INPUTS = PLACE / "inputs"
TEST = "tests/test_neuralode_gradients.py::test_torchdiffeq_agrees"
PATIENCE = 1800
"""Seconds after which a process is given up."""
LAST = 10
"""Weights whose fit is judged, one after each 20 iterations."""
PACKAGES = {
    OURS: ("tensorflow", "keras"),
    TORCHDIFFEQ: ("torch", "torchdiffeq"),
    DIFFRAX: ("diffrax", "jax", "jaxlib", "equinox"),
}

NotRun = dict[str, str]
"""What could not be run, with the reason."""


def main() -> None:
    """Measure, and write the results and the page."""
    options = read_options()
    not_run = install()
    run(OURS, "ode_inputs.py", INPUTS, options.iterations, options.seeds)
    results = {
        "machine": describe_machine(),
        "versions": versions(not_run),
        "setting": {name: getattr(options, name) for name in NUMBERS},
        "costs": costs(options, not_run),
        "spiral": spiral(options, not_run),
        "test": agreement_test(not_run),
        "agreement": agreement(not_run),
        "not_run": not_run,
    }
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "odes.json").write_text(json.dumps(results, indent=1) + "\n")
    if options.quick:
        (options.into / "odes.md").write_text(section(results) + "\n")
    elif (HERE / "results.json").is_file():
        (HERE / "README.md").write_text(page(json.loads((HERE / "results.json").read_text())))


NUMBERS = {  # name: (usual, with --quick, what it is)
    "rounds": (3, 1, "processes for each contender and problem"),
    "seconds": (12.0, 1.0, "how long a process measures"),
    "seeds": (5, 1, "spirals learned"),
    "iterations": (1000, 60, "of the learning, divisible by 20"),
    "few": (200, 40, "iterations for what is slow"),
}


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="does everything run?")
    for name, (usual, _, what) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=type(usual), help=f"{what} [{usual}]")
    options = parser.parse_args()
    for name, (usual, quick, _) in NUMBERS.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
        if getattr(options, name) <= 0:
            parser.error(f"--{name}: expected a positive number, got {getattr(options, name)}")
    for name in ("iterations", "few"):
        if getattr(options, name) % 20 or getattr(options, name) < 40:
            parser.error(f"--{name}: expected 40, 60, 80 and so on, got {getattr(options, name)}")
    options.few = min(options.few, options.iterations)
    options.into = RUNS / "part" if options.quick else HERE
    return options


def install() -> NotRun:
    """Make the environments; return what cannot be made.

    Raises:
        SystemExit: our own cannot.
    """
    failed = {}
    for name in (OURS, TORCHDIFFEQ, DIFFRAX):
        try:
            make_environment(name)
        except InstallError as error:
            if name == OURS:
                raise SystemExit(f"error: the environment {name} cannot be made: {error}") from error
            failed[f"environment {name}"] = str(error)
            print(f"the environment {name} cannot be made: {error}", file=sys.stderr)
    return failed


def of(problem: str) -> list[Contender]:
    """Return who solves a problem."""
    return [solver for solver in SOLVERS if problem in solver.problems]


def able(contenders: Iterable[Contender], not_run: NotRun) -> list[Contender]:
    """Return the contenders that have an environment."""
    return [contender for contender in contenders if f"environment {contender.environment}" not in not_run]


def versions(not_run: NotRun) -> dict[str, str]:
    """Return the versions of what is compared."""
    there = [name for name in PACKAGES if f"environment {name}" not in not_run]
    return {package: versions_in(name)[package] for name in there for package in PACKAGES[name]}


def costs(options: argparse.Namespace, not_run: NotRun) -> list[dict[str, Any]]:
    """Let the solvers take turns, each in a fresh process, on both problems, again and again."""
    runs = []
    for number in range(options.rounds):
        for problem in PROBLEMS:
            for solver in able(of(problem), not_run):
                name = f"{solver.name}, {problem}"
                words = [problem, "--inputs", INPUTS, "--seconds", options.seconds]
                words += [] if number else ["--out", answers(solver, problem)]
                if name not in not_run and (found := attempt(name, solver, words, not_run)):
                    runs.append({"contender": solver.name, "problem": problem, "round": number, **found})
    return runs


def answers(solver: Contender, problem: str) -> Path:
    """Return where a solver's answers go."""
    return PLACE / "answers" / f"{problem}-{SOLVERS.index(solver)}.npz"


def spiral(options: argparse.Namespace, not_run: NotRun) -> list[dict[str, Any]]:
    """Let all ways learn the same spirals in turn, and say how well the curves fit."""
    runs = []
    for seed in range(options.seeds):
        inputs = INPUTS / f"spiral-{seed}.npz"
        rows, learned = [], []
        for learner in able(LEARNERS, not_run):
            iterations = options.few if learner.name in SLOW else options.iterations
            out, name = PLACE / "weights" / f"{seed}-{LEARNERS.index(learner)}.npz", f"spiral, {learner.name}"
            found = None if name in not_run else attempt(name, learner, [inputs, out, iterations], not_run)
            if found:
                rows.append({"learner": learner.name, "seed": seed, **found})
                learned.append(out)
        if learned:
            judged = run(OURS, "ode_fit.py", inputs, LAST, *learned)
            runs += [{**row, **fit} for row, fit in zip(rows, judged, strict=True)]
    return runs


def attempt(name: str, contender: Contender, words: list[Any], not_run: NotRun) -> dict[str, Any] | None:
    """Run a contender's script; a failure is added to `not_run`."""
    start = time.perf_counter()
    try:
        found: dict[str, Any] = run(contender.environment, contender.script, *words, *contender.words)
    except RunError as error:
        not_run[name] = str(error)
        print(f"{name}: {error}", file=sys.stderr)
        return None
    print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return found


def run(environment: str, script: str, *words: Any) -> Any:
    """Run a script of tools/ and return what its last line says.

    Raises:
        RunError: it failed, or took too long.
    """
    line = [python_of(environment), HERE / "tools" / script, *map(str, words)]
    surroundings = {**quiet(), "TORCHINDUCTOR_CACHE_DIR": str(PLACE / "inductor")}
    try:
        done = subprocess.run(line, capture_output=True, text=True, env=surroundings, timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise RunError(f"it did not end within {PATIENCE} seconds") from error
    if done.returncode:
        raise RunError(reason(done.stderr))
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else None


def agreement(not_run: NotRun) -> list[dict[str, Any]]:
    """Return how good the answers of each are, of its first process."""
    rows = []
    for problem in PROBLEMS:
        some = [solver for solver in able(of(problem), not_run) if f"{solver.name}, {problem}" not in not_run]
        if SOLVERS[0] not in some:
            continue
        line = [python_of(OURS), HERE / "ode_agreement.py", *(answers(solver, problem) for solver in some)]
        found = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
        rows += [{"contender": s.name, "problem": problem, **x} for s, x in zip(some, found, strict=True)]
    return rows


def agreement_test(not_run: NotRun) -> dict[str, str]:
    """Run the test that compares with torchdiffeq where both are installed; a test that is skipped has not passed."""
    if f"environment {TORCHDIFFEQ}" in not_run:
        return {"name": TEST, "outcome": "not run"}
    line = [python_of(TORCHDIFFEQ), "-m", "pytest", "-q", "-p", "no:cacheprovider", TEST]
    surroundings = {**quiet(), "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=surroundings)
    summary = re.search(r"\b1 (passed|failed|skipped)\b", done.stdout)
    outcome = summary[1] if summary else f"not run ({reason(done.stdout + done.stderr)})"
    print(f"{TEST}: {outcome}", file=sys.stderr)
    return {"name": TEST, "outcome": outcome}


if __name__ == "__main__":
    try:
        main()
    except RunError as failure:
        raise SystemExit(f"error: {failure}") from failure
