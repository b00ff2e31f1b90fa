"""How good the solvers' answers are: `python ode_agreement.py OURS OTHER...` on files that tools/ode_*.py wrote.

Prints a JSON list with an object for each file, ours too. `apart` says how far f, and z(t1) and the gradients at close
tolerances, are from ours; `error`, how far z(t1) and the gradients at the timed tolerances are from the contender's own
at close ones. All are |x - y| / |y|, by the root of the sum of squares.
"""

from __future__ import annotations

import json
import sys

import numpy as np

Arrays = dict[str, np.ndarray]
ANSWERS = ("z1", "of_z0", "of_theta")


def judge(ours: Arrays, theirs: Arrays) -> dict[str, dict[str, float]]:
    """Return both."""
    compared = {"f": "f", **{name: f"close_{name}" for name in ANSWERS}}
    return {
        "apart": {name: distance(theirs[key], ours[key]) for name, key in compared.items() if key in theirs},
        "error": {name: distance(theirs[name], theirs[f"close_{name}"]) for name in ANSWERS if name in theirs},
    }


def distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return how far x is from y."""
    return float(np.linalg.norm(x - y) / np.linalg.norm(y))


if __name__ == "__main__":
    files = [dict(np.load(path)) for path in sys.argv[1:]]
    print(json.dumps([judge(files[0], file) for file in files]))
