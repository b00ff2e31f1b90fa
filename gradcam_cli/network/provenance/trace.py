"""Which axes of the tensors of a network run over the rows and columns of the image.

The operations of the traced graph are followed from the input, each by its rule. An operation without a rule,
attention between places, and a sum of two tensors whose places differ leave the places unproven; `network.locality`
measures them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gradcam_cli.network.provenance.arithmetic_rules import ARITHMETIC_RULES
from gradcam_cli.network.provenance.constants import function_body
from gradcam_cli.network.provenance.contraction_rules import CONTRACTION_RULES
from gradcam_cli.network.provenance.convolution_rules import CONVOLUTION_RULES
from gradcam_cli.network.provenance.places import Places
from gradcam_cli.network.provenance.rule import Inputs, Outputs, State, unknown
from gradcam_cli.network.provenance.shape_rules import SHAPE_RULES
from gradcam_cli.network.provenance.slicing_rules import SLICING_RULES


def trace_places(graph: Any, x: tf.Tensor) -> State:
    """Return the places of all tensors of a graph that depend on the input.

    Args:
        graph: a traced graph with static shapes.
        x: its input, (n, h, w, c) with n > 1.
    """
    state = State({x.ref(): Places.of_input(x)})
    _follow(graph, state)
    return state


def _follow(graph: Any, state: State) -> None:
    for operation in graph.get_operations():
        inputs = [state.places(tensor) for tensor in operation.inputs]
        if any(inputs) and operation.outputs:
            result = ALL_RULES.get(operation.type, unknown)(operation, inputs, state)
            result = result or unknown(operation, inputs, state)
            results = [result] * len(operation.outputs) if isinstance(result, Places) else result
            state.update(operation.outputs, results)


def _call(operation: Any, inputs: Inputs, state: State) -> Outputs:
    """Follow the function that an operation calls."""
    return _follow_function(function_body(operation), operation.inputs, inputs, state)


def _condition(operation: Any, inputs: Inputs, state: State) -> Outputs:
    """Follow the branch that is taken, if it does not depend on the image."""
    condition = state.value(operation.inputs[0])
    if condition is None:
        return None
    body = function_body(operation, "then_branch" if condition else "else_branch")
    return _follow_function(body, operation.inputs[1:], inputs[1:], state)


def _follow_function(graph: Any, arguments: Sequence[tf.Tensor], inputs: Inputs, state: State) -> Outputs:
    if graph is None or len(graph.inputs) != len(inputs):
        return None
    places, constants = {}, {}
    for parameter, argument, known in zip(graph.inputs, arguments, inputs, strict=True):
        if known:
            places[parameter.ref()] = known
        elif (value := state.value(argument)) is not None:
            constants[parameter.ref()] = value
    inner = State(places, constants)
    _follow(graph, inner)
    return [inner.places(tensor) for tensor in graph.outputs]


ALL_RULES = {
    **ARITHMETIC_RULES,
    **SHAPE_RULES,
    **CONVOLUTION_RULES,
    **SLICING_RULES,
    **CONTRACTION_RULES,
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _call),
    **dict.fromkeys(("If", "StatelessIf"), _condition),
}
