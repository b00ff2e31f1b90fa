"""Files that other people made, read with one kind of error: what was expected in them, and what they hold."""

from __future__ import annotations

import csv
import io
import json
import reprlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from gradcam_cli.errors import UsageError

T = TypeVar("T")


class FormatError(Exception):
    """What a file holds in place of what it should: `expected ..., got ...`."""

    def __init__(self, expected: str, got: object) -> None:
        said = f"{type(got).__name__}: {got}" if isinstance(got, Exception) else reprlib.repr(got)
        super().__init__(f"expected {expected}, got {said}")


def parse_file(subject: str, path: Path, parse: Callable[[bytes], T]) -> T:
    """Parse a file; what parsing it raises becomes a UsageError that names the file."""
    try:
        return parse(path.read_bytes())
    except FormatError as error:
        raise UsageError(f"{subject} {path}: {error}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{subject} {path}: expected a readable file, got {error}") from error


def parse_json(data: bytes) -> object:
    """Parse JSON, whatever it holds."""
    try:
        document: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("JSON", error) from error
    return document


def parse_csv(data: bytes, columns: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each line that is not blank, and its fields, of which none is empty."""
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), skipinitialspace=True)
        lines = [(f"line {reader.line_num}", [field.strip() for field in fields]) for fields in reader if fields]
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"lines of {columns} in UTF-8", error) from error
    for where, fields in lines:
        if len(fields) != columns.count(",") + 1 or not all(fields):
            raise FormatError(f"{columns} in {where}", ",".join(fields))
        yield where, fields


def finite_floats(values: object) -> list[float] | None:
    """Return a list of finite numbers as floats, and None for anything else."""
    largest = sys.float_info.max
    if isinstance(values, list) and all(type(v) in (int, float) and abs(v) <= largest for v in values):
        return [float(v) for v in values]
    return None


def checked_box(x0: float, y0: float, x1: float, y1: float, where: str) -> tuple[float, float, float, float]:
    box = (x0, y0, x1, y1)
    if finite_floats(list(box)) is None or not (x0 < x1 and y0 < y1):
        raise FormatError(f"finite x0 < x1 and y0 < y1 as the box of {where}", box)
    return box
