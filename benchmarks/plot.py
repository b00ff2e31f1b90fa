"""Draw speed.png from results.json: `python plot.py DIR`, in an environment that has matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from contenders import GRADCAM, PRECISIONS
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from summary import Row, summarise

SHADES = {"overlay": 1.0, "npz": 0.5}
LABELS = {"overlay": "overlays (PNG)", "npz": "maps alone (npz)"}


def draw(rows: list[Row], target: Path) -> None:
    """Draw a panel for each precision."""
    panels = [(p, [row for row in rows if row.precision == p and row.kind in LABELS]) for p in PRECISIONS]
    panels = [(precision, bars) for precision, bars in panels if bars]
    if not panels:
        return
    heights = [len({row.tool for row in bars}) + 1 for _, bars in panels]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(9, 0.55 * sum(heights) + 1), height_ratios=heights, layout="constrained", squeeze=False
    )
    for (precision, bars), panel in zip(panels, axes[:, 0], strict=True):
        draw_panel(panel, precision, bars, [r for r in rows if (r.precision, r.kind) == (precision, "forward")])
    figure.savefig(target, dpi=130)


def draw_panel(axes: Axes, precision: str, bars: list[Row], forward: list[Row]) -> None:
    """Draw the bars of one precision, with the spread over the repeats and the bare forward pass as a line."""
    tools = list(dict.fromkeys(row.tool for row in bars))  # the quickest overlay first
    for row in bars:
        y = tools.index(row.tool) + (-0.2 if row.kind == "overlay" else 0.2)
        colour = "tab:orange" if row.tool == GRADCAM.name else "tab:blue"
        spread = [[row.ms - row.least], [row.most - row.ms]]
        axes.barh(y, row.ms, 0.38, color=colour, alpha=SHADES[row.kind], xerr=spread, ecolor="0.2", capsize=2)
        axes.annotate(f"{row.ms:.0f}", (row.most, y), (5, 0), textcoords="offset points", va="center", fontsize=8)
    for kind, label in LABELS.items():
        axes.barh(0, 0, color="0.35", alpha=SHADES[kind], label=label)
    for row in forward:
        axes.axvline(row.ms, color="0.2", linestyle="--", linewidth=1, label="bare forward pass")
    axes.set_yticks(range(len(tools)), tools)
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set(title=precision, xlabel="milliseconds an image (median; whiskers: least and most)")
    axes.legend(loc="upper right", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    draw(summarise(json.loads((directory / "results.json").read_text())["runs"]), directory / "speed.png")
