"""Draw ode_training.png from ode_training.json: `python training_plot.py DIR`, where matplotlib is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from training_page import pairs


def draw(directory: Path) -> None:
    """Draw the memory of both ways against the steps, with the tolerances beside the points."""
    both = pairs(json.loads((directory / "ode_training.json").read_text())["memory"])
    steps = [discrete["accepted"] for _, discrete in both]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for i, (label, colour) in enumerate((("adjoint", "tab:orange"), ("discrete", "tab:blue"))):
        axes.plot(steps, [pair[i]["peak_mb"] for pair in both], "o-", color=colour, label=label)
    for x, (_, discrete) in zip(steps, both, strict=True):
        label, place = f"{discrete['tolerance']:.0e}", (x, discrete["peak_mb"])
        axes.annotate(label, place, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.set(xlabel="accepted steps of the solve forward (mean of the training steps)", ylabel="peak memory, MB")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right")
    figure.savefig(directory / "ode_training.png", dpi=130)


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
