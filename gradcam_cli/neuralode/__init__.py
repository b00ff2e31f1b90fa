"""Neural ordinary differential equations: solvers, adjoint gradients, and Keras layers.

    import tensorflow as tf
    from gradcam_cli.neuralode import odeint
    z0 = tf.constant([1.0, 2.0])
    solution = odeint(lambda t, z: -z, z0, t=(0.0, 0.5, 1.0))
    print(solution.z[-1])  # z0 / e = [0.3679 0.7358]

Importing this package registers its layers with Keras: `keras.models.load_model` opens trained networks.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcam_cli.neuralode.layers.find_block import find_block, ode_blocks
    from gradcam_cli.neuralode.layers.ode_block import ODEBlock
    from gradcam_cli.neuralode.layers.ode_func import ConcatConv2D, GroupNorm, ODEFunc
    from gradcam_cli.neuralode.layers.odenet import ARCHITECTURES, build_odenet
    from gradcam_cli.neuralode.solver.butcher_tableau import Tableau
    from gradcam_cli.neuralode.solver.events import EventSolution, odeint_event
    from gradcam_cli.neuralode.solver.gradcheck import GradcheckRow, gradcheck
    from gradcam_cli.neuralode.solver.odeint import odeint
    from gradcam_cli.neuralode.solver.solution import Solution
    from gradcam_cli.neuralode.solver.status import (
        NotConvergedError,
        NotFiniteError,
        NotReversibleError,
        SolverError,
        Status,
        StepUnderflowError,
        TooManyStepsError,
    )
    from gradcam_cli.neuralode.solver.tableaus import SOLVERS
    from gradcam_cli.neuralode.solver.traced_solver import GRADIENTS

__all__ = [
    "ARCHITECTURES",
    "GRADIENTS",
    "SOLVERS",
    "ConcatConv2D",
    "EventSolution",
    "GradcheckRow",
    "GroupNorm",
    "NotConvergedError",
    "NotFiniteError",
    "NotReversibleError",
    "ODEBlock",
    "ODEFunc",
    "Solution",
    "SolverError",
    "Status",
    "StepUnderflowError",
    "Tableau",
    "TooManyStepsError",
    "build_odenet",
    "find_block",
    "gradcheck",
    "ode_blocks",
    "odeint",
    "odeint_event",
]

_MODULES = {
    "layers.find_block": ("find_block", "ode_blocks"),
    "layers.ode_block": ("ODEBlock",),
    "layers.ode_func": ("ConcatConv2D", "GroupNorm", "ODEFunc"),
    "layers.odenet": ("ARCHITECTURES", "build_odenet"),
    "solver.butcher_tableau": ("Tableau",),
    "solver.events": ("EventSolution", "odeint_event"),
    "solver.gradcheck": ("GradcheckRow", "gradcheck"),
    "solver.odeint": ("odeint",),
    "solver.solution": ("Solution",),
    "solver.status": (
        "NotConvergedError",
        "NotFiniteError",
        "NotReversibleError",
        "SolverError",
        "Status",
        "StepUnderflowError",
        "TooManyStepsError",
    ),
    "solver.tableaus": ("SOLVERS",),
    "solver.traced_solver": ("GRADIENTS",),
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if "gradcam_cli.cli" not in sys.modules:  # the command imports TensorFlow only to run a network, not for its options
    import_module(f"{__name__}.layers")
