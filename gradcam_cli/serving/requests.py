"""The parameters of the requests of the page, checked."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.pipeline.config import check_choice

MAX_TEXT = 500
MAX_SLICE = 1 << 30
FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
MAP_KEYS = ("model", "image", "layer", "method", "class", "against", "t", "counterfactual", "axis", "slice")


@dataclass(frozen=True)
class MapRequest:
    """One map.

    Attributes:
        model, image: their ids.
        layer: path of the layer; None for the default layer.
        method: name of the method.
        class_: an index, a name, or `top`.
        against: a class with which it is contrasted, or `nearest`; None for no contrast.
        t: depth of an ODE, or None.
        counterfactual: whether the gradient is negated.
        axis: of the array of a volume, across its slices.
        slice: the slice or frame that is shown; None for that of the largest value.
    """

    model: str
    image: str
    layer: str | None = None
    method: str = "gradcam"
    class_: str = "top"
    against: str | None = None
    t: float | None = None
    counterfactual: bool = False
    axis: int = 0
    slice: int | None = None


def map_request(values: Mapping[str, Any]) -> MapRequest:
    """Return the map that parameters name; missing and empty ones have their defaults.

    Raises:
        UsageError: a parameter is unknown or has another type.
    """
    texts = checked_texts(values, MAP_KEYS)
    method = texts.get("method") or "gradcam"
    check_choice("method", method, tuple(METHODS))
    return MapRequest(
        required(texts, "model"),
        required(texts, "image"),
        texts.get("layer") or None,
        method,
        texts.get("class") or "top",
        texts.get("against") or None,
        _number(texts["t"]) if texts.get("t") else None,
        _flag(texts.get("counterfactual", "")),
        *slice_place(texts),
    )


def slice_place(texts: Mapping[str, str]) -> tuple[int, int | None]:
    """Return the axis across the slices, and the number of a slice or None.

    Raises:
        UsageError: they are not integers.
    """
    number = integer(texts, "slice", 0, MAX_SLICE) if texts.get("slice") else None
    return integer(texts, "axis", 0, 2), number


def checked_texts(values: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """Return parameters as texts; None is left out.

    Raises:
        UsageError: a name is unknown, or a value is no short text or number.
    """
    texts: dict[str, str] = {}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"expected the parameters {', '.join(names)}, got {name[:MAX_TEXT]!r}")
        if value is None:
            continue
        if isinstance(value, (dict, list)) or len(str(value)) > MAX_TEXT:
            raise UsageError(f"{name}: expected a text of at most {MAX_TEXT} characters or a number")
        texts[name] = str(value)
    return texts


def required(texts: Mapping[str, str], name: str) -> str:
    """Return a parameter.

    Raises:
        UsageError: it is missing.
    """
    if not texts.get(name):
        raise UsageError(f"the parameter {name} is missing")
    return texts[name]


def integer(texts: Mapping[str, str], name: str, default: int, largest: int) -> int:
    """Return a parameter from 0 to the largest value.

    Raises:
        UsageError: it has another value.
    """
    text = texts.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(largest)) and int(text) <= largest):
        raise UsageError(f"{name}: expected an integer from 0 to {largest}, got {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"t: expected a number, got {text!r}") from error
    if not math.isfinite(value):
        raise UsageError(f"t: expected a finite number, got {text!r}")
    return value


def _flag(text: str) -> bool:
    if text.lower() not in FLAGS:
        raise UsageError(f"counterfactual: expected 0 or 1, got {text!r}")
    return FLAGS[text.lower()]
