"""Plots of a trained classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

from gradcam_cli.output.figures import titled_axes

MAX_LABELED_CLASSES = 20
"""Maximum number of classes for which the counts are printed in the cells."""


def plot_confusion(confusion: np.ndarray, labels: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts, colored by their fraction of the row.

    Args:
        confusion: (classes, classes), rows are true classes, columns are predicted classes.
        labels: names of the classes.
    """
    side = max(4.5, 0.45 * len(labels) + 2)
    figure, axes = titled_axes("confusion matrix", side, side + 0.2)
    axes.grid(visible=False)
    fractions = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1)
    if len(labels) <= MAX_LABELED_CLASSES:
        for (i, j), count in np.ndenumerate(confusion):
            if count:
                color = "white" if fractions[i, j] > 0.5 else "black"
                axes.text(j, i, str(count), ha="center", va="center", fontsize=8, color=color)
    axes.set_xticks(range(len(labels)), list(labels), rotation=60 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set(xlabel="predicted", ylabel="true")
    return figure
