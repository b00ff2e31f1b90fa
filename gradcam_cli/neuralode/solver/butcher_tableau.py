"""`Tableau`: a Runge-Kutta method as its Butcher tableau, validated by its order conditions.

A step of size h from (t, z), with stages i = 1..s:

    k_i = f(t + c_i h, z + h sum_j a_ij k_j)    explicit: j < i; implicit: j <= i, with a_ii = gamma except a_11 = 0
    z'  = z + h sum_i b_i k_i
    error estimate: h sum_i e_i k_i, with e = b - b_hat for the weights b_hat of an embedded method
    inside the step: z(t + x h) = z + h sum_i b_i(x) k_i (see `continuous_extension`)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_cli.neuralode.solver.continuous_extension import continuous_extension
from gradcam_cli.neuralode.solver.order_conditions import order_condition_error

ORDER_CONDITION_TOLERANCE = 2e-13
"""Maximum residual of an order condition: float64 rounding times the largest coefficient, 30 in dopri8."""


@dataclass(frozen=True, eq=False)
class Tableau:
    """A Runge-Kutta method: explicit, or an ESDIRK method that is stiffly accurate (z' is its last stage).

    Attributes:
        name: name of the method in `SOLVERS`.
        order: order of z'.
        a: (s, s) float64, strictly lower triangular; for an ESDIRK method with the diagonal 0, gamma, ..., gamma.
        b: (s,) float64, weights of z'.
        c: (s,) float64, nodes: the times of the stages, in units of h.
        b_hat: (s,) float64, weights of the embedded method; None without error estimate.
        embedded_order: order of the embedded method.
        dense_order: order of the continuous extension.
        dense_degree: degree of its polynomials.

    Raises:
        ValueError: the coefficients violate an order condition or have inconsistent shapes.
    """

    name: str
    order: int
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    b_hat: np.ndarray | None = None
    embedded_order: int = 0
    dense_order: int = 1
    dense_degree: int = 1

    def __post_init__(self) -> None:
        """Check the shapes, the row sums, and all order conditions of both methods."""
        if not (self.a.shape == (self.stages, self.stages) and len(self.b) == self.stages):
            raise ValueError(f"{self.name}: a, b and c have inconsistent sizes")
        diagonal = np.full(self.stages, self.gamma)
        diagonal[0] = 0
        if np.triu(self.a - np.diag(diagonal)).any():
            raise ValueError(f"{self.name}: a is not lower triangular with a diagonal of 0, or of 0, gamma, ..., gamma")
        if self.implicit and (self.a[-1] != self.b).any():
            raise ValueError(f"{self.name}: the implicit method is not stiffly accurate: b is not the last row of a")
        if abs(self.a.sum(axis=1) - self.c).max() > ORDER_CONDITION_TOLERANCE:
            raise ValueError(f"{self.name}: c differs from the row sums of a")
        for weights, order in ((self.b, self.order), (self.b_hat, self.embedded_order)):
            if weights is not None and order_condition_error(self.a, weights, order) > ORDER_CONDITION_TOLERANCE:
                raise ValueError(f"{self.name}: the coefficients violate the conditions of order {order}")

    @property
    def stages(self) -> int:
        """Number of stages: for an explicit method, function evaluations per step."""
        return len(self.c)

    @property
    def gamma(self) -> float:
        """The diagonal element of a; 0 for an explicit method."""
        return float(self.a[-1, -1])

    @property
    def implicit(self) -> bool:
        """Whether the stages but the first are implicit."""
        return self.gamma != 0

    @property
    def fsal(self) -> bool:
        """First same as last: whether the last stage is f(t + h, z'), the first stage of the next step."""
        return self.b_hat is not None and bool((self.a[-1] == self.b).all() and self.c[-1] == 1)

    @property
    def adaptive(self) -> bool:
        """Whether the method has an error estimate."""
        return self.b_hat is not None

    @property
    def error_weights(self) -> np.ndarray:
        """(s,) float64, the weights of the error estimate; zeros without one."""
        return np.zeros_like(self.b) if self.b_hat is None else self.b - self.b_hat

    @property
    def error_exponent(self) -> float:
        """Exponent 1/q of the step factor error^(-1/q), with q = min(order, embedded_order) + 1."""
        return 1 / (min(self.order, self.embedded_order) + 1)

    @cached_property
    def extension(self) -> np.ndarray:
        """(dense_degree, s) float64, the coefficients of x, x^2, ... in the weights b_i(x) inside a step."""
        return continuous_extension(self.a, self.b, self.dense_order, self.dense_degree, self.fsal)

    def without_error_estimate(self) -> Tableau:
        """Return the method without the stages that only the error estimate and the continuous extension use."""
        needed = int(np.flatnonzero(self.b)[-1]) + 1
        return Tableau(self.name, self.order, self.a[:needed, :needed], self.b[:needed], self.c[:needed])
