"""How far the maps of the tools agree: their correlation with ours, photo by photo.

`python agreement.py OURS DIR...` prints a JSON list with an object for each directory of arrays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def agreement(ours: Path, theirs: Path) -> dict[str, float]:
    """Return the median and the minimum over the photos of Pearson's correlation between two maps."""
    pairs = zip(sorted(ours.rglob("*.npz")), sorted(theirs.rglob("*.npz")), strict=True)
    r = [np.corrcoef(read_map(mine), read_map(other))[0, 1] for mine, other in pairs]
    return {"median": float(np.median(r)), "min": float(np.min(r))}


def read_map(path: Path) -> np.ndarray:
    """Return a map, flattened."""
    with np.load(path) as file:
        return file["map"].ravel()


if __name__ == "__main__":
    ours, *others = map(Path, sys.argv[1:])
    print(json.dumps([agreement(ours, other) for other in others]))
