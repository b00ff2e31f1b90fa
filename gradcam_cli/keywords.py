"""Keyword arguments of the Python API: misspelt ones, and their names in error messages."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, TypeVar

from gradcam_cli.errors import GradcamError
from gradcam_cli.near_matches import REPEAT, did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

OTHER_NAMES = {
    "allow-unsafe-model": ("allow_unsafe",),
    "class": ("target_class", "classes"),
    "concepts": ("num_concepts",),
    "import": ("packages",),
    "layer": ("layer", "layers"),
    "method": ("method", "methods"),
    "metric": ("metrics",),
    "top": ("top_k",),
}
"""The keywords of options that have other names than the options; a function accepts one of them."""


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


def python_function(*further: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for the functions of the Python API; it also names keywords in the place of options in errors.

    The functions share their checks with the commands, whose errors name options.

    Args:
        further: keywords that the function accepts as `**options`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        known = (*keyword_names(function), *further)

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return checked(*args, **kwargs)
            except GradcamError as error:
                error.message = in_python_words(error.message, known)
                error.hint = error.hint and in_python_words(error.hint, known)
                error.args = (error.message,)
                raise

        checked = names_misspelt_keywords(*further)(function)
        return call

    return decorate


def in_python_words(text: str, known: Collection[str]) -> str:
    """Return a message with the names of keywords in the place of those of options.

    Args:
        text: the message.
        known: the keywords; other options are left as they are.
    """
    if text.startswith(REPEAT):
        return "give a list"

    def keyword(match: re.Match[str]) -> str:
        names = OTHER_NAMES.get(match[1], (match[1].replace("-", "_"),))
        return next((name for name in names if name in known), match[0])

    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)", keyword, text)
