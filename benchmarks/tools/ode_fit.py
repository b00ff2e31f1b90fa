"""How well learned weights follow the spiral: `ode_fit.py INPUTS LAST WEIGHTS...`, where gradcam is installed.

Prints a JSON list with an object for each file: `fits`, the mean absolute differences from the trajectory over all of
its times, by one solver for all, of the last few weights in the file; and `apart`, how far the largest of its weights
after 40 iterations is from the first file's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.neuralode.demos.spiral import SpiralNetwork, Trajectory, fit_error

NAMES = ("w1", "b1", "w2", "b2")
EARLY = 1
"""Which of the weights, kept after each 20 iterations, are compared."""


def main(inputs: Path, last: int, *paths: Path) -> None:
    """Print what is found of each file."""
    with np.load(inputs) as file:
        data = Trajectory(file["t"], file["z"])
    learned = [[np.load(path)[name] for name in NAMES] for path in paths]
    print(json.dumps([{"fits": fits(data, some, last), "apart": apart(learned[0], some)} for some in learned]))


def fits(data: Trajectory, learned: list[np.ndarray], last: int) -> list[float]:
    """Return the mean absolute difference for each of the last weights."""
    f, errors = SpiralNetwork(), []
    for weights in zip(*(some[-last:] for some in learned), strict=True):
        f.set_weights(weights)
        errors.append(fit_error(f, data)[0])
    return errors


def apart(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """Return the largest difference between two weights, in units of the largest weight."""
    differences: Any = [np.abs(x[EARLY] - y[EARLY]).max() for x, y in zip(ours, theirs, strict=True)]
    return float(max(differences) / max(np.abs(x[EARLY]).max() for x in ours))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *map(Path, sys.argv[3:]))
