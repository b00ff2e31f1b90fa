"""Who solves differential equations: the contenders, and the ways to learn the spiral."""

from __future__ import annotations

from typing import NamedTuple

from environments import DIFFRAX, OURS, TORCHDIFFEQ

PROBLEMS = ("tiny", "convolutional")


class Contender(NamedTuple):
    """A solver: its name, its script in tools/, its environment, the words its script is given, what it solves."""

    name: str
    script: str
    environment: str
    words: tuple[str, ...] = ()
    problems: tuple[str, ...] = PROBLEMS


SOLVERS = (
    Contender("gradcam", "ode_ours.py", OURS),
    Contender("gradcam, XLA", "ode_ours.py", OURS, ("--compiled",), ("convolutional",)),
    Contender("torchdiffeq", "ode_torchdiffeq.py", TORCHDIFFEQ),
    Contender("torchdiffeq, f compiled", "ode_torchdiffeq.py", TORCHDIFFEQ, ("--compiled",)),
    Contender("diffrax", "ode_diffrax.py", DIFFRAX),
)

LEARNERS = (
    Contender("gradcam, XLA", "ode_spiral_ours.py", OURS, ("xla",)),
    Contender("gradcam, graph", "ode_spiral_ours.py", OURS, ("graph",)),
    Contender("torchdiffeq, default", "ode_spiral_torchdiffeq.py", TORCHDIFFEQ, ("default",)),
    Contender("torchdiffeq, adjoint", "ode_spiral_torchdiffeq.py", TORCHDIFFEQ, ("adjoint",)),
)
SLOW = ("torchdiffeq, adjoint",)
"""Ways to learn that are given fewer iterations."""
