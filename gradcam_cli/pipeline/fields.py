"""Kinds of values in JSON records: functions that return a valid value and raise `FieldError` for any other.

`json_lines.FIELDS` and the tables of the other records are made of these kinds.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from gradcam_cli.models.labels import MAX_NAME_LENGTH

Check = Callable[[Any], Any]
"""Returns a valid value, without unknown keys; raises FieldError for an invalid one."""
Fields = Mapping[str, Check]
"""The kinds of a record's values, by key."""

MAX_TEXT_LENGTH = 100_000
"""Limit of all other texts, in characters."""
MAX_ITEMS = 100_000
"""Limit of lists and mappings."""
MAX_NUMBER = 3.5e38
"""Limit of numbers: float32 covers 3.4e38, and sums of such numbers are finite."""
MAX_INDEX = 2**31 - 1


class FieldError(ValueError):
    """A value of another kind: `expected ..., got ...`, with the keys that lead to it."""

    def __init__(self, expected: str, got: object) -> None:
        self.keys: list[str] = []
        self._expected, self._got = expected, reprlib.repr(got)
        super().__init__(expected, self._got)

    def __str__(self) -> str:
        where = f" as {'.'.join(reversed(self.keys))}" if self.keys else ""
        return f"expected {self._expected}{where}, got {self._got}"


def text(max_length: int = MAX_TEXT_LENGTH) -> Check:
    """Text of limited length that can be part of a file name."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > max_length or not _is_encodable(value):
            raise FieldError(f"text of at most {max_length:,} characters", value)
        return value

    return check


def number(low: float = -MAX_NUMBER, high: float = MAX_NUMBER) -> Check:
    """A finite number in a range, ends included."""

    def check(value: Any) -> float:
        if type(value) not in (int, float) or not low <= value <= high:
            raise FieldError(f"a number from {low:g} to {high:g}", value)
        return float(value) if isinstance(value, float) else int(value)

    return check


def integer(low: int = 0, high: int = MAX_INDEX) -> Check:
    """A whole number in a range, ends included."""

    def check(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise FieldError(f"a whole number from {low} to {high}", value)
        return int(value)

    return check


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise FieldError("true or false", value)
    return value


def choice(values: Collection[str]) -> Check:
    """One of several texts."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise FieldError(f"one of {', '.join(values)}", value)
        return value

    return check


def sha256(value: Any) -> str:
    """A SHA-256 in hexadecimal."""
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= set("0123456789abcdef"):
        raise FieldError("a SHA-256 of 64 hexadecimal digits", value)
    return value


def nullable(kind: Check) -> Check:
    """A value of a kind, or null."""
    return lambda value: None if value is None else kind(value)


def list_of(kind: Check, min_items: int = 0, max_items: int = MAX_ITEMS) -> Check:
    """A list of values of one kind."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or not min_items <= len(value) <= max_items:
            items = f"{min_items:,}" if min_items == max_items else f"{min_items:,} to {max_items:,}"
            raise FieldError(f"a list of {items} items", value)
        return [_checked(kind, item, str(number)) for number, item in enumerate(value)]

    return check


def tuple_of(*kinds: Check) -> Check:
    """A list with one value of each kind."""

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list) or len(value) != len(kinds):
            raise FieldError(f"a list of {len(kinds)} items", value)
        return [_checked(kind, item, str(n)) for n, (kind, item) in enumerate(zip(kinds, value, strict=True))]

    return check


def mapping(kind: Check, key: Check | None = None) -> Check:
    """An object with values of one kind under any keys, or under keys of one kind."""
    check_key = key or text(MAX_NAME_LENGTH)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > MAX_ITEMS:
            raise FieldError(f"an object of at most {MAX_ITEMS:,} keys", value)
        return {check_key(name): _checked(kind, item, name) for name, item in value.items()}

    return check


def record(fields: Fields, required: Collection[str] = ()) -> Check:
    """An object with values of the kinds of its keys; unknown keys are removed."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise FieldError("an object", value)
        if missing := [key for key in required if key not in value]:
            raise FieldError(f"an object with {', '.join(missing)}", value)
        return {key: _checked(fields[key], item, key) for key, item in value.items() if key in fields}

    return check


def _is_encodable(value: str) -> bool:
    r"""Return whether no character is half of a surrogate pair; `\udc80` to `\udcff` stand for bytes."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _checked(kind: Check, value: Any, key: str) -> Any:
    try:
        return kind(value)
    except FieldError as error:
        error.keys.append(key)
        raise


name = text(MAX_NAME_LENGTH)
coordinate = integer(-MAX_INDEX)
position = list_of(coordinate, 1, 3)
"""[x], [x, y] or [x, y, z]: a place in a signal, an image, or a volume or film."""


def box(value: Any) -> list[Any]:
    """A box: the first position, and that after the last."""
    checked: list[Any] = list_of(coordinate, 2, 6)(value)
    if len(checked) % 2:
        raise FieldError("a list of 2, 4 or 6 items", value)
    return checked
