"""What the scripts that solve differential equations share: the problems, the clock, and the report.

Each of them measures one contender on one problem, in a process of its own: how long its f takes, alone and with the
vector-Jacobian product, called again and again in the contender's own kind of loop; how long its solver takes, forward
and with the gradient; and how often the solver evaluates f.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

THREADS = len(os.sched_getaffinity(0))
LEAST = 3
"""Times that everything is measured at least."""


class Problem(NamedTuple):
    """What is solved, from time 0 to t1 by dopri5.

    Attributes:
        t1: the end.
        rtol, atol: tolerances, forward and backward.
        close: both tolerances of a second, untimed solve, by which the contenders' answers are compared.
        in_a_row: evaluations of f alone that are timed together.
    """

    t1: float
    rtol: float
    atol: float
    close: float
    in_a_row: int


PROBLEMS = {"tiny": Problem(10.0, 1e-5, 1e-6, 1e-6, 500), "convolutional": Problem(1.0, 1e-3, 1e-3, 1e-5, 20)}

Arrays = dict[str, np.ndarray]
"""The inputs: z0, the cotangent g of z(t1), and the parameters of f."""


class Setting(NamedTuple):
    """One measurement, as the command line gives it."""

    name: str
    problem: Problem
    arrays: Arrays
    out: Path | None
    seconds: float
    compiled: bool


class Contender(NamedTuple):
    """What a script gives to be measured. Each function returns when its work is done.

    Without `vjp` and `gradient` only the solve forward is measured.

    Attributes:
        slope: f at half the time and z0.
        f: evaluates f so often in a row, each time at what it answered before.
        vjp: the same, together with the product of g and its Jacobian for z and all parameters.
        forward: solves, and returns z(t1).
        count: solves forward, or forward and backward, untimed, with a counter in f, and returns what it counted.
        gradient: solves forward and backward, and returns dL/dz0 and dL/dtheta for L = sum(g z(t1)): the parameters
            in the order and layout of `Arrays`.
    """

    slope: Callable[[], Any]
    f: Callable[[int], Any]
    forward: Callable[[], Any]
    count: Callable[[bool], int]
    vjp: Callable[[int], Any] | None = None
    gradient: Callable[[], tuple[Any, Sequence[Any]]] | None = None


def measure(prepare: Callable[[Setting], Contender]) -> None:
    """Measure a contender, and print a line of JSON."""
    setting = read_setting()
    contender = prepare(setting)
    if setting.out:
        write_answers(setting.out, contender, prepare(closely(setting)))
    problem, forward = setting.problem, contender.count(False)
    record = {
        **problem._asdict(),
        "shape": setting.arrays["z0"].shape,
        "threads": THREADS,
        "forward_evaluations": forward,
        **clock(thunks(contender, problem.in_a_row), setting.seconds),
    }
    if contender.gradient:
        record["backward_evaluations"] = contender.count(True) - forward
    for name in {"f", "vjp"} & set(record):
        record[name] /= problem.in_a_row
    print(json.dumps(record), flush=True)


def thunks(contender: Contender, many: int) -> dict[str, Callable[[], Any]]:
    """Return what is timed, by name."""
    vjp, gradient = contender.vjp, contender.gradient
    backward = {"vjp": lambda: vjp(many), "gradient": gradient} if vjp and gradient else {}
    return {"f": lambda: contender.f(many), "forward": contender.forward, **backward}


def read_setting() -> Setting:
    """Parse the options that every script has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("problem", choices=list(PROBLEMS))
    parser.add_argument("--inputs", type=Path, required=True, help="the directory that ode_inputs.py wrote")
    parser.add_argument("--out", type=Path, help="an .npz file for the answers, if wanted")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to measure")
    parser.add_argument("--compiled", action="store_true", help="compile f, or all, where that is a choice")
    found = parser.parse_args()
    with np.load(found.inputs / f"{found.problem}.npz") as file:
        arrays = dict(file)
    return Setting(found.problem, PROBLEMS[found.problem], arrays, found.out, found.seconds, found.compiled)


def parameters(arrays: Arrays) -> Arrays:
    """Return what belongs to f."""
    return {name: array for name, array in arrays.items() if name not in ("z0", "g")}


def clock(timed: dict[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Call each in turn for so many seconds, after a call that is not counted; return the quickest of each."""
    for thunk in timed.values():
        thunk()
    times: dict[str, list[float]] = {name: [] for name in timed}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["f"]) < LEAST:
        for name, thunk in timed.items():
            start = time.perf_counter()
            thunk()
            times[name].append(time.perf_counter() - start)
    return {name: min(some) for name, some in times.items()}


def closely(setting: Setting) -> Setting:
    """Return the same with closer tolerances."""
    close = setting.problem.close
    return setting._replace(problem=setting.problem._replace(rtol=close, atol=close))


def write_answers(path: Path, contender: Contender, closer: Contender) -> None:
    """Write what the contender finds, and what it finds at closer tolerances, to be compared with the others'."""
    path.parent.mkdir(parents=True, exist_ok=True)
    close = {f"close_{name}": array for name, array in solutions(closer).items()}
    np.savez(path, f=np.asarray(contender.slope()), **solutions(contender), **close)


def solutions(contender: Contender) -> Arrays:
    """Return z(t1) and the gradients of z0 and of all parameters."""
    found = {"z1": np.asarray(contender.forward())}
    if contender.gradient:
        of_z0, of_theta = contender.gradient()
        found["of_z0"] = np.asarray(of_z0)
        found["of_theta"] = np.concatenate([np.asarray(x).ravel() for x in of_theta])
    return found
