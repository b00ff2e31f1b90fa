"""Evaluation of a trained network with other solvers and tolerances.

A network that was trained with coarse steps may depend on its solver's steps: then its accuracy changes with a more
accurate solver, and the network is not an ODE.

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
"""Maximum change of an ODE network's accuracy under another solver."""


class SolverVariant(NamedTuple):
    """A solver with either a tolerance or a number of fixed steps.

    Attributes:
        solver: a name in `tableaus.SOLVERS`.
        tol: relative and absolute tolerance of adaptive steps, or None.
        steps: number of fixed steps over the interval of the block, or None.
    """

    solver: str
    tol: float | None = None
    steps: int | None = None

    def options(self, interval: float) -> dict[str, Any]:
        """Return the options of `odeint`, for an interval of this length."""
        if self.steps:
            return {"solver": self.solver, "step_size": interval / self.steps}
        return {"solver": self.solver, "rtol": self.tol, "atol": self.tol, "step_size": None}


ONE_STEP_EULER = SolverVariant("euler", steps=1)
"""A residual network: shown for comparison only."""
SOLVER_VARIANTS = (
    SolverVariant("dopri5", tol=1e-5),
    SolverVariant("tsit5", tol=1e-3),
    SolverVariant("rk4", steps=4),
    ONE_STEP_EULER,
)


class SolverResult(NamedTuple):
    """The accuracy of a network with one solver.

    Attributes:
        solver: name of the solver.
        tol: relative tolerance of adaptive steps, or None.
        steps: number of fixed steps, or None.
        as_trained: whether these are the solver options of the training.
        accuracy: 0 to 1.
        accuracy_change: difference to the accuracy with the solver options of the training.
        nfe: mean number of function evaluations per batch of 500 images.
    """

    solver: str
    tol: float | None
    steps: int | None
    as_trained: bool
    accuracy: float
    accuracy_change: float
    nfe: float

    @property
    def is_solver_dependent(self) -> bool:
        """Whether the accuracy changes more than that of an ODE may; one Euler step does not count."""
        variant = SolverVariant(self.solver, self.tol, self.steps)
        return abs(self.accuracy_change) > MAX_ACCURACY_CHANGE and variant != ONE_STEP_EULER


@contextlib.contextmanager
def solver_options_scope(block: ODEBlock, **options: Any) -> Iterator[None]:
    """Replace solver options of a block inside a `with` statement."""
    original = block.options
    block.options = {**original, **options}
    try:
        yield
    finally:
        block.options = original


def evaluate_with_solvers(
    model: keras.Model,
    block: ODEBlock,
    x: np.ndarray,
    y: np.ndarray,
    variants: Sequence[SolverVariant] = SOLVER_VARIANTS,
) -> tuple[Predictions, list[SolverResult]]:
    """Evaluate a network with the solver options of its training, then with other solvers.

    Args:
        model: a network whose outputs are logits.
        block: its ODEBlock.
        x: (n, h, w, c), pixels.
        y: (n,), classes.
        variants: the other solvers.

    Returns:
        The predictions with the options of the training, and a result for each solver, that of the training first.

    Raises:
        GradcamError: an ODE cannot be solved.
    """
    num_batches = -(-len(x) // EVALUATION_BATCH_SIZE)
    interval = abs(block.t_span[1] - block.t_span[0])

    def measure(variant: SolverVariant, reference: float | None) -> tuple[Predictions, SolverResult]:
        block.reset_nfe()
        predictions = evaluate(model, x, y)
        accuracy = predictions.accuracy(y)
        change = 0.0 if reference is None else accuracy - reference
        nfe = int(block.nfe_forward) / num_batches
        return predictions, SolverResult(*variant, reference is None, accuracy, change, nfe)

    predictions, trained = measure(_trained_variant(block, interval), None)
    results = [trained]
    for variant in variants:
        with solver_options_scope(block, **variant.options(interval)):
            results.append(measure(variant, trained.accuracy)[1])
    return predictions, results


def _trained_variant(block: ODEBlock, interval: float) -> SolverVariant:
    solver, step_size = block.options.get("solver", "dopri5"), block.options.get("step_size")
    if step_size:
        return SolverVariant(solver, steps=int(np.ceil(interval / step_size)))
    return SolverVariant(solver, tol=block.options.get("rtol"))
