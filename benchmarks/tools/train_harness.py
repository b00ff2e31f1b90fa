"""What the scripts that train share: the task, the clock, and the report.

Each of them lets one contender learn, in a process of its own, from the same weights by the same batches in the same
order: cross-entropy, gradient descent with momentum, an ODE-Net solved by dopri5 and differentiated by the adjoint
method.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

THREADS = 2
TOLERANCE = 1e-3
RATE, MOMENTUM = 0.01, 0.9
NETWORKS = ("relu", "softplus", "stem")
"""Activations of f; or that there is no f."""
FIELD = "ode/f/"
"""How the paths of its parameters begin."""

Arrays = dict[str, np.ndarray]
"""Weights, or gradients, by their paths in the Keras model, laid out as there."""


class Setting(NamedTuple):
    """What is learned."""

    network: str
    weights: Arrays


class Learner(NamedTuple):
    """What a script gives to be measured.

    Attributes:
        step: learns from pixels (n, 28, 28, 1) uint8 and classes (n,), and returns the loss before.
        evaluations: how often f was evaluated so far, forward and backward.
        gradient: returns the gradient of the loss, without learning.
    """

    step: Callable[[np.ndarray, np.ndarray], float]
    evaluations: Callable[[], tuple[int, int]]
    gradient: Callable[[np.ndarray, np.ndarray], Arrays]


def measure(prepare: Callable[[Setting], Learner]) -> None:
    """Learn, and print a line of JSON; or write the gradient of the first batch."""
    options = read_options()
    with np.load(options.inputs / "weights.npz") as weights, np.load(options.inputs / "batches.npz") as batches:
        x, y, given = batches["x"], batches["y"], dict(weights)
    learner = prepare(Setting(options.network, given))
    if options.gradient:
        options.gradient.parent.mkdir(parents=True, exist_ok=True)
        np.savez(options.gradient, **learner.gradient(x[0], y[0]))
        return
    losses, seconds = [], []
    before = (0, 0)
    for i in range(options.steps):
        if i == options.warm_up:
            before = learner.evaluations()
        start = time.perf_counter()
        losses.append(learner.step(x[i], y[i]))
        seconds.append(time.perf_counter() - start)
    timed = seconds[options.warm_up :]
    forward, backward = (
        (after - early) / len(timed) for after, early in zip(learner.evaluations(), before, strict=True)
    )
    record = {
        "steps_per_second": len(timed) / sum(timed),
        "slowest": max(timed),
        "forward_evaluations": forward,
        "backward_evaluations": backward,
        "losses": losses,
    }
    print(json.dumps(record), flush=True)


def read_options() -> argparse.Namespace:
    """Parse the options that every script has."""
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--inputs", type=Path, required=True, help="the directory that train_inputs.py wrote")
    parser.add_argument("--steps", type=int, default=50, help="how many")
    parser.add_argument("--warm-up", type=int, default=5, help="how many of these are not timed")
    parser.add_argument("--gradient", type=Path, help="an .npz file for the first gradient, instead of learning")
    return parser.parse_args()
