"""The measurements of the runners that solve equations or train: problems, options and clock.

The environments of the ODE tools have NumPy, but neither Pillow nor matplotlib, so that this module does without.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

THREADS = len(os.sched_getaffinity(0))
MIN_CALLS = 3
T1, RTOL, ATOL = 10.0, 1e-5, 1e-6
"""The ODE suite solves from 0 to T1 with dopri5; the tolerances hold forward and backward."""
RATE, MOMENTUM, TOLERANCE = 0.01, 0.9, 1e-3
WARM_UP = 5
"""Training steps that are not timed."""

Arrays = dict[str, np.ndarray]


class Solver(NamedTuple):
    """The functions of one ODE tool; each returns after its work is done.

    Attributes:
        forward: solves, and returns z(T1).
        gradient: solves forward and backward, and returns dL/dtheta by name for L = sum(g z(T1)).
        nfe: returns the function evaluations of `forward`, or of `gradient` if its argument is true.
    """

    forward: Callable[[], Any]
    gradient: Callable[[], Arrays]
    nfe: Callable[[bool], int]


def parse_options() -> argparse.Namespace:
    """Parse the options of a runner."""
    parser = argparse.ArgumentParser()
    parser.add_argument("case")
    parser.add_argument("--inputs", type=Path, required=True, help="the directory that make_inputs.py wrote")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to measure a solver")
    parser.add_argument("--steps", type=int, default=50, help="training steps; the first five are not timed")
    return parser.parse_args()


def subset(arrays: Arrays, prefix: str) -> Arrays:
    """Return the arrays whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def measure_solver(prepare: Callable[[Arrays], Solver]) -> None:
    """Measure the solve forward, or forward and backward, of one ODE tool and print the record.

    Args:
        prepare: from the arrays z0, g and theta/NAME.
    """
    options = parse_options()
    arrays = dict(np.load(options.inputs / "odes.npz"))
    solver, backward = prepare(arrays), options.case == "ode-gradient"
    solve = solver.gradient if backward else solver.forward
    ms, nfe = 1e3 * fastest(solve, options.seconds), solver.nfe(backward)
    result, exact = (solve(), subset(arrays, "exact/")) if backward else ({"z1": solve()}, {"z1": arrays["z1"]})
    extras = {"nfe": nfe, "µs/nfe": 1e3 * ms / nfe, "error": relative_error(result, exact)}
    print(json.dumps({"ms": ms, "extras": extras}), flush=True)


def relative_error(result: Arrays, exact: Arrays) -> float:
    """Return |result - exact| / |exact| over all arrays."""
    x, y = (np.concatenate([np.ravel(arrays[name]) for name in exact]) for arrays in (result, exact))
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


def fastest(function: Callable[[], Any], seconds: float) -> float:
    """Call a function for so many seconds, after one call that is not timed; return the minimum."""
    function()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < MIN_CALLS:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


class Training(NamedTuple):
    """`step` trains on pixels (n, 28, 28, 1) and classes (n,), and returns the loss; `nfe` returns both counts."""

    step: Callable[[np.ndarray, np.ndarray], float]
    nfe: Callable[[], tuple[int, int]]


def measure_training(prepare: Callable[[str, Arrays], Training]) -> None:
    """Train one network on the given batches and print the record.

    Args:
        prepare: from the network's name and its starting weights by their Keras paths.
    """
    options = parse_options()
    arrays = dict(np.load(options.inputs / f"{options.case}.npz"))
    training = prepare(options.case, subset(arrays, "weights/"))
    losses, seconds, before = [], [], (0, 0)
    for x, y in zip(arrays["x"][: options.steps], arrays["y"], strict=False):
        if len(losses) == WARM_UP:
            before = training.nfe()
        start = time.perf_counter()
        losses.append(training.step(x, y))
        seconds.append(time.perf_counter() - start)
    timed = seconds[WARM_UP:]
    forward, backward = ((after - early) / len(timed) for early, after in zip(before, training.nfe(), strict=True))
    extras = {"nfe forward": forward, "nfe backward": backward}
    print(json.dumps({"ms": 1e3 * sum(timed) / len(timed), "extras": extras, "losses": losses}), flush=True)
