"""Misspelt keyword arguments of the Python API."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from gradcam_cli.near_matches import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")


def keyword_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names that a function accepts as keywords, from its signature."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(each.name for each in inspect.signature(function).parameters.values() if each.kind in kinds)


def names_misspelt_keywords(*further: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator: the function raises a TypeError that names the nearest keyword for an unknown one.

    Args:
        further: keywords that the function accepts as `**options`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = (*keyword_names(function), *further)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in known:
                    hint = did_you_mean(name, known, "{!r}") or f"expected {', '.join(known)}"
                    raise TypeError(f"{function.__name__}() got an unexpected keyword {name!r}: {hint}")
            return function(*args, **kwargs)

        return call

    return decorate
