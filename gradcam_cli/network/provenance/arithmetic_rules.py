"""How elementwise operations, averages and normalizations change the places of tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcam_cli.network.provenance import axes as factors
from gradcam_cli.network.provenance.axes import BATCH, LOCATED, OTHER, axis
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, Outputs, State, rule_table
from gradcam_cli.network.provenance.spans import Span


def _elementwise(operation: Any, inputs: Inputs, _: State) -> Places | None:
    """Combine all inputs; a tensor without rows and columns is spread over all places."""
    result: Places | None = None
    spans = next(places.spans for places in inputs if places)
    for tensor, places in zip(operation.inputs, inputs, strict=True):
        if tensor.shape.rank is None:
            return None
        constant = Places(tuple(axis(OTHER, size or 1) for size in tensor.shape), spans)
        result = places or constant if result is None else combined(result, places or constant)
    return result


def combined(first: Places, second: Places) -> Places:
    """Return the places of a sum or product of two tensors."""
    learned = first.learned or second.learned
    if first.axes is None or second.axes is None:
        known = first if first.is_located() else second if second.is_located() else first.unproven()
        return known._replace(proven=False, learned=learned)
    axes, agree = factors.broadcast(first.axes, second.axes)
    located = [places for places in (first, second) if places.is_located()]
    same = len(located) < 2 or all(map(_close, first.spans, second.spans))
    result = located[0] if located else first
    return result._replace(axes=axes, proven=first.proven and second.proven and agree and same, learned=learned)


def combined_all(parts: Sequence[Places]) -> Places:
    """Return the places of a sum of several tensors, whatever their numbers of channels."""
    result = parts[0]
    for other in parts[1:]:
        same_axes = result.axes and other.axes and result.axes[:-1] == other.axes[:-1]
        together = combined(result, other)
        result = together._replace(proven=together.proven and bool(same_axes))
    return result


def _close(first: Span, second: Span) -> bool:
    """Return whether two spans differ by less than one cell at both ends."""
    limit = max(abs(first.pixels_per_cell), abs(second.pixels_per_cell))
    return all(abs(a - b) < limit for a, b in zip(first.interval, second.interval, strict=True))


def _mixing_last_axis(operation: Any, inputs: Inputs, _: State) -> Places | None:
    places = inputs[0]
    if places is None or not places.axes:
        return None
    return places._replace(proven=places.proven and not factors.contains(places.axes[-1], (*LOCATED, BATCH)))


def _reduction(operation: Any, inputs: Inputs, state: State) -> Places | None:
    places, reduced = inputs[0], state.value(operation.inputs[1])
    if places is None or places.axes is None or reduced is None:
        return None
    positions, keep = {int(i) % len(places.axes) for i in np.ravel(reduced)}, operation.get_attr("keep_dims")
    if any(factors.contains(places.axes[i], (BATCH,)) for i in positions):
        return places.unproven()
    return places._replace(
        axes=tuple(() if i in positions else a for i, a in enumerate(places.axes) if keep or i not in positions)
    )


def _normalization(operation: Any, inputs: Inputs, _: State) -> Outputs:
    """FusedBatchNormV3: the first output has the places of the input."""
    return [inputs[0], *[None] * (len(operation.outputs) - 1)]


def _first_input(_: Any, inputs: Inputs, __: State) -> Places | None:
    return inputs[0]


def _each_input(_: Any, inputs: Inputs, __: State) -> Outputs:
    return inputs


ARITHMETIC_RULES = rule_table(
    {
        "Add AddV2 Sub Mul RealDiv Div DivNoNan FloorDiv Maximum Minimum Pow SquaredDifference BiasAdd AddN Select "
        "SelectV2 Greater GreaterEqual Less LessEqual Equal NotEqual LogicalAnd LogicalOr FloorMod Atan2 MulNoNan "
        "Xdivy Xlogy": _elementwise,
        "Abs Acos Asin Atan Cast Ceil CheckNumerics Cos Cosh Elu Erf Erfc Exp Expm1 Floor Identity Inv IsFinite IsNan "
        "LeakyRelu Log Log1p LogicalNot Neg PreventGradient Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign "
        "Sin Sinh Softplus Softsign Sqrt Square StopGradient Tan Tanh ClipByValue LRN": _first_input,
        "IdentityN": _each_input,
        "Softmax LogSoftmax": _mixing_last_axis,
        "Mean Sum Max Min Prod All Any EuclideanNorm": _reduction,
        "FusedBatchNormV3": _normalization,
    }
)
