"""Whether a trained network is an ODE: the same weights under other solvers and tolerances.

A network that was trained with coarse steps may have learned the steps, not the equation: then it does worse where they
are solved better.

Source:
    Ott et al. 2021, ResNet After All: Neural ODEs and Their Numerical Solution.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.training.evaluate import EVALUATION_BATCH_SIZE, Predictions, evaluate

MAX_ACCURACY_CHANGE = 0.005
"""Share of right answers by which an ODE may differ under another solver."""

SOLVER_VARIANTS: dict[str, dict[str, Any]] = {
    "dopri5 at 1e-5": {"solver": "dopri5", "rtol": 1e-5, "atol": 1e-5, "step_size": None},
    "tsit5 at 1e-3": {"solver": "tsit5", "rtol": 1e-3, "atol": 1e-3, "step_size": None},
    "rk4, four steps": {"solver": "rk4", "step_size": 0.25},
    "euler, one step": {"solver": "euler", "step_size": 1.0},
}
"""Other ways to solve; step sizes are shares of the interval. The last is a residual network: a comparison only."""

ONE_STEP_EULER = "euler, one step"


class SolverResult(NamedTuple):
    """How a network does under one solver.

    Attributes:
        solver: a name in `SOLVER_VARIANTS`, or that of the model's own way.
        accuracy: 0 to 1.
        accuracy_change: accuracy less that of the model's own way.
        nfe: of f, mean over passes of 500 images.
    """

    solver: str
    accuracy: float
    accuracy_change: float
    nfe: float


@contextlib.contextmanager
def solver_options_scope(block: ODEBlock, **options: Any) -> Iterator[None]:
    """Let a block be solved in another way for as long as the block of code runs."""
    own = block.options
    if options.get("step_size"):
        options["step_size"] *= abs(block.t_span[1] - block.t_span[0])
    block.options = {**own, **options}
    try:
        yield
    finally:
        block.options = own


def evaluate_with_solvers(
    model: keras.Model, block: ODEBlock, x: np.ndarray, y: np.ndarray, variants: Sequence[str] = tuple(SOLVER_VARIANTS)
) -> tuple[Predictions, list[SolverResult]]:
    """Return how a network does in its own way, and that beside other ways.

    Args:
        model: of logits.
        block: its ODE.
        x: (n, h, w, c), pixels.
        y: (n,), classes.
        variants: names in `SOLVER_VARIANTS`.

    Raises:
        GradcamError: an equation cannot be solved.
    """
    passes = -(-len(x) // EVALUATION_BATCH_SIZE)
    rows: list[SolverResult] = []

    def measured(name: str) -> Predictions:
        block.reset_nfe()
        score = evaluate(model, x, y)
        accuracy = score.accuracy(y)
        moved = accuracy - rows[0].accuracy if rows else 0.0
        rows.append(SolverResult(name, accuracy, moved, int(block.nfe_forward) / passes))
        return score

    own = measured(f"{block.options.get('solver', 'dopri5')} as trained")
    for name in variants:
        with solver_options_scope(block, **SOLVER_VARIANTS[name]):
            measured(name)
    return own, rows
