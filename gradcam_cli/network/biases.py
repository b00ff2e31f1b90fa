"""The biases of the operations of a traced network, for the full-gradient decomposition of a score.

An operation z = g(a) with inputs a that vary with the image has the bias b = z - sum_i a_i dz/da_i. It is zero for
linear operations, ReLU and maxima.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from gradcam_cli.errors import ModelError
from gradcam_cli.network.dependence import tensors_upstream

_WITHOUT_GRADIENT = frozenset("StopGradient Shape ShapeN Size Rank ArgMax ArgMin OneHot".split())
"""Operations whose outputs count as constants."""
_LINEAR_IN_FIRST = frozenset(
    "Identity Cast Reshape Squeeze ExpandDims Transpose Mean Sum AvgPool AvgPool3D Neg SpaceToBatchND BatchToSpaceND "
    "DepthToSpace SpaceToDepth StridedSlice Slice GatherV2 Tile Unpack ResizeBilinear ResizeNearestNeighbor ReverseV2 "
    "MirrorPad Pad BroadcastTo RealDiv Relu LeakyRelu MaxPool MaxPool3D Max Abs PreventGradient CheckNumerics".split()
)
"""Linear operations and maxima of their first input; the others are constant."""
_LINEAR_IN_ONE = frozenset(
    "Conv2D DepthwiseConv2dNative Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 MatMul BatchMatMulV2 Einsum Mul "
    "MulNoNan".split()
)
"""Products of one input that varies with constants."""
_LINEAR_IN_ALL = frozenset("Pack Maximum Minimum".split())
"""Linear operations and maxima if all inputs vary."""
_SUMS = frozenset("Add AddV2 AddN BiasAdd Sub".split())
_ACTIVATIONS = frozenset("Relu6 Elu Selu Sigmoid Tanh Softplus Softsign Maximum Minimum".split())
"""Elementwise functions of one input that varies."""


class Bias(NamedTuple):
    """A bias, of a shape that broadcasts to that of the output z to which it is added."""

    z: tf.Tensor
    b: tf.Tensor


def find_biases(x: tf.Tensor, y: tf.Tensor) -> list[Bias]:
    """Return the biases of all operations between two tensors of a graph.

    Raises:
        ModelError: an operation has a bias that is not known.
    """
    varying, upstream = {x.ref()}, tensors_upstream(y)
    found: list[Bias] = []
    for operation in x.graph.get_operations():
        inputs = [tensor.ref() in varying for tensor in operation.inputs]
        if not any(inputs) or operation.type in _WITHOUT_GRADIENT:
            continue
        varying.update(tensor.ref() for tensor in operation.outputs)
        if any(tensor.ref() in upstream for tensor in operation.outputs):
            found += _biases_of(operation, inputs)
    return found


def _biases_of(operation: Any, varies: list[bool]) -> Iterator[Bias]:
    """Yield the bias of an operation, if it has one.

    Args:
        operation: an operation of a graph.
        varies: for each input, whether it varies with the image.
    """
    kind, inputs, z = operation.type, operation.inputs, operation.outputs[0]
    first_only, one = varies[0] and not any(varies[1:]), sum(varies) == 1
    if _has_own_gradient(operation):
        raise _unknown(operation)
    if kind in _SUMS:
        if not all(varies):
            yield Bias(z, _constant_terms(operation, varies))
    elif kind == "FusedBatchNormV3" and first_only and not operation.get_attr("is_training"):
        _, scale, offset, mean, variance = inputs
        yield Bias(z, offset - mean * scale * tf.math.rsqrt(variance + operation.get_attr("epsilon")))
    elif kind in _ACTIVATIONS and one:
        a = inputs[varies.index(True)]
        yield Bias(z, z - a * tf.gradients(z, a)[0])
    elif not (
        (kind in _LINEAR_IN_FIRST and first_only)
        or (kind in _LINEAR_IN_ONE and one)
        or (kind in _LINEAR_IN_ALL and all(varies))
        or (kind == "ConcatV2" and all(varies[:-1]))
        or (kind == "PadV2" and first_only and tf.get_static_value(inputs[2]) == 0)
    ):
        raise _unknown(operation)


def _constant_terms(operation: Any, varies: list[bool]) -> tf.Tensor:
    """Return the sum of the terms that do not vary."""
    signs = (1, -1) if operation.type == "Sub" else (1,) * len(varies)
    terms = [
        sign * tensor for sign, tensor, varying in zip(signs, operation.inputs, varies, strict=True) if not varying
    ]
    return tf.add_n(terms) if len(terms) > 1 else terms[0]


def _has_own_gradient(operation: Any) -> bool:
    """Return whether the gradient of an operation was replaced."""
    try:
        return bool(operation.get_attr("_gradient_op_type"))
    except ValueError:
        return False


def _unknown(operation: Any) -> ModelError:
    return ModelError(
        f"fullgrad requires operations whose biases are known, got {operation.type} ({operation.name})",
        "it supports logits of convolutions, dense layers, batch normalization, pooling, sums and activations",
    )
