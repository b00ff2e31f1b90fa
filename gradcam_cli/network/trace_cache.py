"""Traces of a model, kept with the model until one of its layers changes."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

import keras
import numpy as np

from gradcam_cli.network.layers import iter_layers

MAX_TRACES = 64
"""Traces that a model keeps; the one that was used least recently is dropped first."""
_ATTRIBUTE = "_gradcam_traces"
_CHANGED_BY_CALLS = ("_called",)
_MAX_DEPTH = 8  # of lists in lists, which may contain themselves
_PLAIN_TYPES = frozenset((bool, int, float, str, bytes, type(None)))

T = TypeVar("T")


class TraceCache:
    """The traces of a model, by key.

    It is an attribute of the model: the traces refer to the model, and both are freed together. New weights need no
    new trace, because a traced function reads the variables when it runs.
    """

    def __init__(self) -> None:
        self._traces: dict[Hashable, Any] = {}
        self._state: tuple[Any, ...] = ()
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type[TraceCache], tuple[()]]:
        """A copy of the model has no traces."""
        return TraceCache, ()

    def get(self, key: Hashable, trace: Callable[[], T]) -> T:
        """Return the trace of a key, traced now if there is none."""
        with self._lock:
            value: T = self._traces.pop(key) if key in self._traces else trace()
            self._traces[key] = value
            while len(self._traces) > MAX_TRACES:
                del self._traces[next(iter(self._traces))]
            return value

    def drop(self, key: Hashable) -> None:
        """Drop the trace of a key, if there is one."""
        with self._lock:
            self._traces.pop(key, None)

    def drop_stale(self, model: keras.Model) -> None:
        """Drop all traces if a layer was added, removed, or has another value in one of its attributes."""
        state = _state_of(model)
        with self._lock:
            if state != self._state:
                self._traces.clear()
                self._state = state


def trace_cache(model: keras.Model) -> TraceCache:
    """Return the traces of a model."""
    cache = vars(model).get(_ATTRIBUTE)
    if not isinstance(cache, TraceCache):
        cache = TraceCache()
        object.__setattr__(model, _ATTRIBUTE, cache)  # past the tracking by Keras, which would save it with the model
    return cache


@contextlib.contextmanager
def temporary_traces(model: keras.Model) -> Iterator[None]:
    """Keep the traces of the block with the model only until it ends; those from before are kept.

    Who holds a traced function can still call it after the block.
    """
    earlier = vars(model).get(_ATTRIBUTE)
    object.__setattr__(model, _ATTRIBUTE, TraceCache())
    try:
        yield
    finally:
        if earlier is None:
            object.__delattr__(model, _ATTRIBUTE)
        else:
            object.__setattr__(model, _ATTRIBUTE, earlier)


def _state_of(model: keras.Model) -> tuple[Any, ...]:
    """Return what a trace of a model depends on, besides the values of its variables."""
    layers = [("", model), *iter_layers(model)]
    return tuple((path, _Same(layer), tuple(_attributes(layer))) for path, layer in layers)


def _attributes(layer: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the attributes that a trace captures, also those inside lists, tuples and dicts."""
    for name, value in vars(layer).items():
        if name not in _CHANGED_BY_CALLS:
            yield from _captured((name,), value)


def _captured(place: tuple[Any, ...], value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield plain values, arrays, variables, and functions such as activations, each with its place.

    A layer's activation is a function, or an object that can be called.
    """
    kind = type(value)
    if kind in _PLAIN_TYPES:
        yield place, kind, value
    elif kind is np.ndarray:
        yield place, value.dtype.str, value.shape, value.tobytes()
    elif isinstance(value, (list, tuple, dict)) and len(place) < _MAX_DEPTH:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _captured((*place, key), item)
    elif callable(value) or isinstance(value, (keras.Variable, keras.DTypePolicy)):
        yield place, _Same(value)


class _Same:
    """Compares equal only with the same object; it keeps the object, so that its identity is not used again."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    __hash__ = None  # type: ignore[assignment]
