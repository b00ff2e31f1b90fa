"""The limits under which Keras opens a model file: no network, and bounded sizes of results."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.ops.function import Function
from keras.src.ops.node import Node

from gradcam_cli.errors import ModelError
from gradcam_cli.models.config_check import TRUST_HINT

MAX_RESULT_BYTES = 1 << 30
"""Limit of the result of a layer for one image. VGG19's largest has 13 MB, EfficientNetB7's at 600x600 has 70 MB."""


@contextlib.contextmanager
def network_off() -> Iterator[None]:
    """Refuse connections and name lookups of this thread in the block.

    Raises:
        ModelError: from the block, if it uses the network.
    """
    thread = threading.get_ident()

    def refuse(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == thread:
                raise ModelError("the model file uses the network while it is opened", TRUST_HINT)
            return original(*args, **kwargs)

        return call

    with contextlib.ExitStack() as stack:
        for name in ("connect", "connect_ex", "sendto", "sendmsg"):
            if hasattr(socket.socket, name):
                stack.enter_context(patched(socket.socket, name, refuse))
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
            stack.enter_context(patched(socket, name, refuse))
        yield


@contextlib.contextmanager
def patched(target: Any, name: str, change: Callable[[Any], Any]) -> Iterator[None]:
    """Replace an attribute by `change(attribute)` in the block."""
    original, own = getattr(target, name), name in vars(target)
    setattr(target, name, change(original))
    try:
        yield
    finally:
        if own:
            setattr(target, name, original)
        else:
            delattr(target, name)


@contextlib.contextmanager
def limited_results(max_bytes: int = MAX_RESULT_BYTES) -> Iterator[None]:
    """Limit the symbolic results of all layers that are called in the block.

    A few bytes of a configuration can require results of any size: `Resizing(30000, 30000)`. Unknown dimensions count
    as 1. The input size of such a model is known later, so `check_results` repeats the check.

    Raises:
        ModelError: from the block, if a result exceeds the limit.
    """

    def limit_node(init: Callable[..., None]) -> Callable[..., None]:
        def call(node: Node, operation: Any, *args: Any, **kwargs: Any) -> None:
            init(node, operation, *args, **kwargs)
            _check_sizes(operation, node.input_tensors, node.outputs, max_bytes)

        return call

    def limit_graph(run: Callable[..., Any]) -> Callable[..., Any]:
        def call(
            graph: Function, inputs: Any, operation_fn: Callable[[Any], Any] = lambda op: op, call_fn: Any = None
        ) -> Any:
            limited = operation_fn if call_fn else lambda op: _limited(op, operation_fn(op), max_bytes)
            return run(graph, inputs, limited, call_fn)

        return call

    with patched(Node, "__init__", limit_node), patched(Function, "_run_through_graph", limit_graph):
        yield


def check_results(model: keras.Model, input_shape: tuple[int, ...], max_bytes: int = MAX_RESULT_BYTES) -> None:
    """Check the sizes of all results of a model with a variable input size, for one image.

    Args:
        model: a Keras model; if its input size is fixed, it was checked when it was opened.
        input_shape: (h, w, c), or with another number of spatial axes.
        max_bytes: the limit.

    Raises:
        ModelError: a result exceeds the limit.
    """
    if None in getattr(model, "input_shape", (None, None))[1:]:
        with limited_results(max_bytes), contextlib.suppress(NotImplementedError):  # a subclassed model
            model.compute_output_spec(keras.KerasTensor((1, *input_shape)))


def _limited(operation: Any, call: Callable[..., Any], max_bytes: int) -> Callable[..., Any]:
    def limited(*args: Any, **kwargs: Any) -> Any:
        outputs = call(*args, **kwargs)
        _check_sizes(operation, keras.tree.flatten((args, kwargs)), keras.tree.flatten(outputs), max_bytes)
        return outputs

    return limited


def _check_sizes(operation: Any, inputs: list[Any], outputs: list[Any], max_bytes: int) -> None:
    inputs = [tensor for tensor in inputs if isinstance(tensor, keras.KerasTensor)]
    sizes = [_num_bytes(tensor) for tensor in outputs if isinstance(tensor, keras.KerasTensor)]
    sizes.append(4 * _hidden_elements(operation, inputs))
    if max(sizes) > max_bytes:
        raise ModelError(
            f"layer {operation.name}: expected results of at most {max_bytes:,} bytes for an image, got {max(sizes):,}",
            TRUST_HINT,
        )


def _num_bytes(tensor: keras.KerasTensor) -> int:
    bits = "".join(filter(str.isdigit, str(tensor.dtype))) or "8"
    return _num_elements(tensor.shape) * int(bits) // 8


def _num_elements(shape: tuple[int | None, ...]) -> int:
    return math.prod(side for side in shape if side is not None)


def _hidden_elements(operation: Any, inputs: list[keras.KerasTensor]) -> int:
    """Return the number of elements of a layer's largest internal result, where it can be larger than the output."""
    kind = type(operation).__name__
    if not inputs:
        return 0
    if "Attention" in kind:  # the scores of all pairs of positions
        query, key = (*inputs, inputs[0])[:2]
        if kind == "DotProductAttention":  # (n, position, head, channel)
            return math.prod(side or 1 for side in (*query.shape[1:3], key.shape[1]))
        heads = getattr(operation, "num_heads", None) or getattr(operation, "num_query_heads", 1)
        factor = query.shape[-1] if kind == "AdditiveAttention" else heads
        return int(factor or 1) * _num_elements(query.shape[1:-1]) * _num_elements(key.shape[1:-1])
    if "Separable" in kind or "Depthwise" in kind:
        return _num_elements(inputs[0].shape) * int(getattr(operation, "depth_multiplier", 1) or 1)
    return 0
