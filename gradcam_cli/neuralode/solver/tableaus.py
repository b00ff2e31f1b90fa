"""Runge-Kutta methods as Butcher tableaus, validated by their order conditions.

A step of size h from (t, z), with stages i = 1..s:

    k_i = f(t + c_i h, z + h sum_j a_ij k_j)
    z'  = z + h sum_i b_i k_i
    error estimate: h sum_i e_i k_i, with e = b - b_hat for the weights b_hat of an embedded method
    inside the step: z(t + x h) = z + h sum_i b_i(x) k_i (see `continuous_extension`)

Sources of the coefficients: Hairer, Norsett and Wanner 1993, Solving Ordinary Differential Equations I (euler,
midpoint, heun2, rk4, dopri5, and Prince and Dormand's dopri8); Bogacki and Shampine 1989 (bosh3); Tsitouras 2011.
dopri8 has a fourteenth stage, the slope at z', for its continuous extension. It is the first stage of the next step.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from gradcam_cli.neuralode.solver.continuous_extension import continuous_extension
from gradcam_cli.neuralode.solver.order_conditions import order_condition_error

ORDER_CONDITION_TOLERANCE = 2e-13
"""Maximum residual of an order condition: float64 rounding times the largest coefficient, 30 in dopri8."""


@dataclass(frozen=True, eq=False)
class Tableau:
    """An explicit Runge-Kutta method.

    Attributes:
        name: name of the method in `SOLVERS`.
        order: order of z'.
        a: (s, s) float64, strictly lower triangular.
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
        if np.triu(self.a).any():
            raise ValueError(f"{self.name}: a is not strictly lower triangular")
        if abs(self.a.sum(axis=1) - self.c).max() > ORDER_CONDITION_TOLERANCE:
            raise ValueError(f"{self.name}: c differs from the row sums of a")
        for weights, order in ((self.b, self.order), (self.b_hat, self.embedded_order)):
            if weights is not None and order_condition_error(self.a, weights, order) > ORDER_CONDITION_TOLERANCE:
                raise ValueError(f"{self.name}: the coefficients violate the conditions of order {order}")

    @property
    def stages(self) -> int:
        """Number of stages: function evaluations per step."""
        return len(self.c)

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


def _parse_numbers(text: str) -> np.ndarray:
    """Parse numbers such as 1/3 and 0.161, exactly up to a single rounding."""
    return np.array([float(Fraction(number)) for number in text.split()])


def _make_tableau(
    name: str,
    order: int,
    a: list[str],
    b: str,
    c: str,
    b_hat: str = "",
    embedded_order: int = 0,
    dense: tuple[int, int] = (1, 1),
) -> Tableau:
    """Create a tableau from strings of numbers; missing numbers at the end of a row are zeros."""
    lower = np.zeros((len(a) + 1, len(a) + 1))
    for i, row in enumerate(map(_parse_numbers, a), start=1):
        lower[i, : len(row)] = row
    return Tableau(
        name,
        order,
        lower,
        _parse_numbers(b),
        _parse_numbers(c),
        _parse_numbers(b_hat) if b_hat else None,
        embedded_order,
        *dense,
    )


EULER = _make_tableau("euler", 1, [], "1", "0")
MIDPOINT = _make_tableau("midpoint", 2, ["1/2"], "0 1", "0 1/2", dense=(2, 2))
HEUN2 = _make_tableau("heun2", 2, ["1"], "1/2 1/2", "0 1", "1 0", 1, dense=(2, 2))
RK4 = _make_tableau("rk4", 4, ["1/2", "0 1/2", "0 0 1"], "1/6 1/3 1/3 1/6", "0 1/2 1/2 1", dense=(3, 3))
BOSH3 = _make_tableau(
    "bosh3",
    3,
    ["1/2", "0 3/4", "2/9 1/3 4/9"],
    "2/9 1/3 4/9 0",
    "0 1/2 3/4 1",
    "7/24 1/4 1/3 1/8",
    embedded_order=2,
    dense=(3, 3),
)
DOPRI5 = _make_tableau(
    "dopri5",
    5,
    [
        "1/5",
        "3/40 9/40",
        "44/45 -56/15 32/9",
        "19372/6561 -25360/2187 64448/6561 -212/729",
        "9017/3168 -355/33 46732/5247 49/176 -5103/18656",
        "35/384 0 500/1113 125/192 -2187/6784 11/84",
    ],
    "35/384 0 500/1113 125/192 -2187/6784 11/84 0",
    "0 1/5 3/10 4/5 8/9 1 1",
    "5179/57600 0 7571/16695 393/640 -92097/339200 187/2100 1/40",
    embedded_order=4,
    dense=(4, 4),
)
TSIT5 = _make_tableau(
    "tsit5",
    5,
    [
        "0.161",
        "-0.008480655492356989 0.335480655492357",
        "2.8971530571054935 -6.359448489975075 4.3622954328695815",
        "5.325864828439257 -11.748883564062828 7.4955393428898365 -0.09249506636175525",
        "5.86145544294642 -12.92096931784711 8.159367898576159 -0.071584973281401 -0.028269050394068383",
        "0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774",
    ],
    "0.09646076681806523 0.01 0.4798896504144996 1.379008574103742 -3.290069515436081 2.324710524099774 0",
    "0 0.161 0.327 0.9 0.9800255409045097 1 1",
    "0.09468075576583945 0.009183565540343254 0.4877705284247616 1.234297566930479 -2.7077123499835256 "
    "1.866628418170587 1/66",
    embedded_order=4,
    dense=(4, 4),
)
DOPRI8 = _make_tableau(
    "dopri8",
    8,
    [
        "1/18",
        "1/48 1/16",
        "1/32 0 3/32",
        "5/16 0 -75/64 75/64",
        "3/80 0 0 3/16 3/20",
        "29443841/614563906 0 0 77736538/692538347 -28693883/1125000000 23124283/1800000000",
        "16016141/946692911 0 0 61564180/158732637 22789713/633445777 545815736/2771057229 -180193667/1043307555",
        "39632708/573591083 0 0 -433636366/683701615 -421739975/2616292301 100302831/723423059 "
        "790204164/839813087 800635310/3783071287",
        "246121993/1340847787 0 0 -37695042795/15268766246 -309121744/1061227803 -12992083/490766935 "
        "6005943493/2108947869 393006217/1396673457 123872331/1001029789",
        "-1028468189/846180014 0 0 8478235783/508512852 1311729495/1432422823 -10304129995/1701304382 "
        "-48777925059/3047939560 15336726248/1032824649 -45442868181/3398467696 3065993473/597172653",
        "185892177/718116043 0 0 -3185094517/667107341 -477755414/1098053517 -703635378/230739211 "
        "5731566787/1027545527 5232866602/850066563 -4093664535/808688257 3962137247/1805957418 65686358/487910083",
        "403863854/491063109 0 0 -5068492393/434740067 -411421997/543043805 652783627/914296604 "
        "11173962825/925320556 -13158990841/6184727034 3936647629/1978049680 -160528059/685178525 "
        "248638103/1413531060",
        "14005451/335480064 0 0 0 0 -59238493/1068277825 181606767/758867731 561292985/797845732 "
        "-1041891430/1371343529 760417239/1151165299 118820643/751138087 -528747749/2220607170 1/4",
    ],
    "14005451/335480064 0 0 0 0 -59238493/1068277825 181606767/758867731 561292985/797845732 "
    "-1041891430/1371343529 760417239/1151165299 118820643/751138087 -528747749/2220607170 1/4 0",
    "0 1/18 1/12 1/8 5/16 3/8 59/400 93/200 5490023248/9719169821 13/20 1201146811/1299019798 1 1 1",
    "13451932/455176623 0 0 0 0 -808719846/976000145 1757004468/5645159321 656045339/265891186 "
    "-3867574721/1518517206 465885868/322736535 53011238/667516719 2/45 0 0",
    embedded_order=7,
    dense=(5, 6),
)

SOLVERS = {tableau.name: tableau for tableau in (EULER, MIDPOINT, HEUN2, RK4, BOSH3, DOPRI5, TSIT5, DOPRI8)}
"""All solvers by name: the values of `odeint`'s `solver`."""
