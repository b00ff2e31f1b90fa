"""Parsing of annotation files and class maps, with one kind of error for malformed content."""

from __future__ import annotations

import csv
import io
import json
import reprlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from gradcam_cli.errors import UsageError
from gradcam_cli.storage.regular_files import read_regular

T = TypeVar("T")
MAX_FILE_BYTES = 1 << 31
"""Limit of a file's size; COCO's largest annotation file has 0.5 GB."""


class FormatError(Exception):
    """Malformed content of a file: `expected ..., got ...`."""

    def __init__(self, expected: str, got: object) -> None:
        value = f"{type(got).__name__}: {got}" if isinstance(got, Exception) else reprlib.repr(got)
        super().__init__(f"expected {expected}, got {value}")


def parse_file(subject: str, path: Path, parse: Callable[[bytes], T]) -> T:
    """Parse a file.

    Raises:
        UsageError: the file cannot be read or is malformed; the message names it.
    """
    try:
        return parse(read_regular(path, MAX_FILE_BYTES, allow_pipe=True))
    except FormatError as error:
        raise UsageError(f"{subject} {path}: {error}") from error
    except OSError as error:
        raise UsageError(f"{subject} {path}: cannot be read: {error.strerror or error}") from error


def parse_json(data: bytes) -> object:
    """Parse JSON.

    Raises:
        FormatError: the data is no JSON.
    """
    try:
        document: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError("JSON", error) from error
    return document


def parse_csv(data: bytes, *formats: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the position and the fields of each row that is not blank.

    Args:
        data: the bytes of the file.
        formats: the columns that a row may have, such as `annotated,model`; the first ones are named in errors.

    Raises:
        FormatError: the data is no UTF-8, a row has another number of fields, or a field is empty.
    """
    columns, counts = formats[0], [each.count(",") + 1 for each in formats]
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), skipinitialspace=True)
        rows = [(f"line {reader.line_num}", [field.strip() for field in fields]) for fields in reader if fields]
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"rows of {columns} in UTF-8", error) from error
    for where, fields in rows:
        if len(fields) not in counts or not all(fields):
            raise FormatError(f"{columns} in {where}", ",".join(fields))
        yield where, fields


def finite_floats(values: object) -> list[float] | None:
    """Return a list of finite numbers as floats, or None for any other value."""
    maximum = sys.float_info.max
    if isinstance(values, list) and all(type(v) in (int, float) and abs(v) <= maximum for v in values):
        return [float(v) for v in values]
    return None


def checked_box(box: Sequence[float], where: str) -> tuple[float, ...]:
    """Return a box of finite numbers whose first corner is before its last one.

    Args:
        box: x0, y0, x1, y1 of an image; x0, x1 of a signal; x0, y0, z0, x1, y1, z1 of a volume or film.
        where: its position in the file.

    Raises:
        FormatError: it is no such box.
    """
    rank = len(box) // 2
    if finite_floats(list(box)) is None or not all(a < b for a, b in zip(box[:rank], box[rank:], strict=True)):
        expected = " and ".join(f"{axis}0 < {axis}1" for axis in "xyz"[:rank])
        raise FormatError(f"finite {expected} as the box of {where}", tuple(box))
    return tuple(box)
