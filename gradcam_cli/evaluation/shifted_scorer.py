"""A model with shifted inputs: y(x - m), for the metric `input-invariance`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradcam_cli.methods.scorer import Scorer


class ShiftedScorer(NamedTuple):
    """The scorer of the model x -> y(x - m).

    Attributes:
        scorer: of the model x -> y(x).
        shift: m, of the shape of an input or one that is broadcast to it.
    """

    scorer: Scorer
    shift: np.ndarray

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return y(x - m), (n, classes)."""
        return self.scorer.scores(x - self.shift)

    def scores_from_layer(self, x: np.ndarray, A: np.ndarray) -> np.ndarray:
        """Return the scores of one input with the layer's output replaced by A."""
        return self.scorer.scores_from_layer(x - self.shift, A)

    def input_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c(x - m)/dx."""
        return self.scorer.input_gradients(x - self.shift, c)

    def guided_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c(x - m)/dx with guided ReLUs."""
        return self.scorer.guided_gradients(x - self.shift, c)
