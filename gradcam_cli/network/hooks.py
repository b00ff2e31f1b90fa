"""Observation and replacement of the outputs of Keras operations, visible only to the calling thread.

The model is not changed. `keras.Operation.__call__`, through which Keras calls all layers and operations, is replaced
while a hook is active in some thread; calls in other threads pass through it unchanged.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

Hook = Callable[[str, Any], Any]

_lock = threading.Lock()
_active_hooks = 0
_original_call = keras.Operation.__call__


class _ThreadHooks(threading.local):
    """The hooks of this thread: (keys by the identity of their operation, hook), the outermost first."""

    def __init__(self) -> None:
        self.stack: list[tuple[dict[int, str], Hook]] = []


_hooks = _ThreadHooks()


@functools.wraps(_original_call)
def _call_with_hooks(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
    output = _original_call(operation, *args, **kwargs)
    for keys, hook in _hooks.stack:
        if key := keys.get(id(operation)):
            output = hook(key, output)
    return output


@contextlib.contextmanager
def hooked(operations: Mapping[str, Any], hook: Hook) -> Iterator[None]:
    """Pass the outputs of operations through a hook while the block runs.

    Unlike a sub-model, this works inside residual blocks, nested models, quantized layers and subclassed models.

    Args:
        operations: operations by key.
        hook: called with (key, output) after each call; its result replaces the output.
    """
    global _active_hooks
    with _lock:
        _active_hooks += 1
        keras.Operation.__call__ = _call_with_hooks
    _hooks.stack.append(({id(operation): key for key, operation in operations.items()}, hook))
    try:
        yield
    finally:
        _hooks.stack.pop()
        with _lock:
            _active_hooks -= 1
            if not _active_hooks:
                keras.Operation.__call__ = _original_call
