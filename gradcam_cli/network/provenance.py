"""Which axes of the tensors of a network run over the rows and columns of the image.

The operations of the traced graph are followed from the input, each by its rule. An operation without a rule,
attention between places, and a sum of two tensors whose places differ leave the places unproven; `network.locality`
measures them.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gradcam_cli.network.constant_folding import constant_value, function_body
from gradcam_cli.network.contraction_rules import CONTRACTION_RULES
from gradcam_cli.network.place_rules import RULES, Inputs, Outputs, State, unknown
from gradcam_cli.network.places import Places
from gradcam_cli.network.slicing_rules import SLICING_RULES


def trace_places(graph: Any, x: tf.Tensor) -> State:
    """Return the places of all tensors of a graph that depend on the input, by `tensor.ref()`.

    Args:
        graph: a traced graph with static shapes.
        x: its input, (n, h, w, c) with n > 1.
    """
    state = {x.ref(): Places.of_input(x)}
    _follow(graph, state)
    return state


def _follow(graph: Any, state: State) -> None:
    for operation in graph.get_operations():
        inputs = [state.get(tensor.ref()) for tensor in operation.inputs]
        if any(inputs) and operation.outputs:
            result = ALL_RULES.get(operation.type, unknown)(operation, inputs, state)
            result = result or unknown(operation, inputs, state)
            results = [result] * len(operation.outputs) if isinstance(result, Places) else result
            state.update(
                {tensor.ref(): places for tensor, places in zip(operation.outputs, results, strict=False) if places}
            )


def _call(operation: Any, inputs: Inputs, _: State) -> Outputs:
    """Follow the function that an operation calls."""
    return _follow_function(function_body(operation), inputs)


def _condition(operation: Any, inputs: Inputs, _: State) -> Outputs:
    """Follow the branch that is taken, if it does not depend on the image."""
    condition = constant_value(operation.inputs[0])
    if condition is None:
        return None
    return _follow_function(function_body(operation, "then_branch" if condition else "else_branch"), inputs[1:])


def _follow_function(graph: Any, inputs: Inputs) -> Outputs:
    if graph is None or len(graph.inputs) != len(inputs):
        return None
    state: State = {tensor.ref(): places for tensor, places in zip(graph.inputs, inputs, strict=True) if places}
    _follow(graph, state)
    return [state.get(tensor.ref()) for tensor in graph.outputs]


ALL_RULES = {
    **RULES,
    **SLICING_RULES,
    **CONTRACTION_RULES,
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _call),
    **dict.fromkeys(("If", "StatelessIf"), _condition),
}
