"""The true classes of images: the names of their folders, or a table; see `--truth`."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.images.matching import column_index, index_by_path
from gradcam_cli.images.source import is_array_name
from gradcam_cli.models.class_selection import find_exact_class
from gradcam_cli.models.labels import Labels, normalize_name
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.regular_files import read_regular

PARENT = "parent"
"""The value of `--truth` for the names of the folders."""
IMAGE_COLUMN, CLASS_COLUMN = "image", "class"
MAX_BYTES = 1 << 28
"""Limit of a CSV file's size."""


@dataclass(frozen=True)
class TruthSource:
    """Where the true classes of images come from; it can be pickled.

    Attributes:
        name: `parent`, or the file of the table.
        rows: image and class of each row of a table.
        expected: the class that `--expect` names, which every image has; None without it.
    """

    name: str
    rows: tuple[tuple[str, str], ...] = ()
    expected: str | None = None

    def label(self, image: str) -> str | None:
        """Return the true class of an image as its folder or its row names it, or None without one.

        A row belongs to an image if the path of the image ends with that of the row; the longest such path wins.

        Args:
            image: its path or URL.
        """
        if self.expected is not None or image == "-":
            return self.expected
        path = image.partition("?")[0] if is_url(image) else os.path.abspath(image)
        if self.name == PARENT and not self.rows:
            return None if is_array_name(image) else path.rpartition("/")[0].rpartition("/")[2] or None
        return next(iter(self._find(path)), None)

    @cached_property
    def _find(self) -> Callable[[str], list[str]]:
        return index_by_path(self.rows, by_file_name=False)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the rows, without the index made of them."""
        return {"name": self.name, "rows": self.rows, "expected": self.expected}


def read_truth(value: str) -> TruthSource:
    """Read the true classes that `--truth` names.

    Args:
        value: `parent`, or a CSV file in UTF-8 with a header and the columns `image` and `class`; others are ignored.

    Raises:
        UsageError: the file cannot be read, lacks a column, or has two classes for an image.
    """
    return TruthSource(PARENT) if value == PARENT else _read_table(Path(value))


def require_known_class(truth: TruthSource, labels: Labels, class_count: int) -> None:
    """Check that a table has a class of the model, and that the expected class is one.

    Raises:
        UsageError: none of its classes is one, or the expected class is none.
    """
    error = None
    if truth.expected is not None:
        try:
            find_exact_class(truth.expected, labels, class_count)
        except UsageError as unknown:
            raise UsageError(f"{truth.name}: {unknown.message}", unknown.hint) from unknown
    for text in dict.fromkeys(text for _, text in truth.rows):
        try:
            find_exact_class(text, labels, class_count)
        except UsageError as unknown:
            error = error or unknown
        else:
            return
    if error:
        raise UsageError(f"--truth {truth.name}: none of its classes is one of the model: {error.message}", error.hint)


def _read_table(file: Path) -> TruthSource:
    rows: dict[tuple[str, str], int] = {}
    try:
        text = read_regular(file, MAX_BYTES, allow_pipe=True).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        header = [field.strip() for field in next(reader, [])]
        columns = (
            column_index(header, IMAGE_COLUMN, f"--truth {file}"),
            column_index(header, CLASS_COLUMN, f"--truth {file}"),
        )
        for fields in filter(None, reader):
            if len(fields) != len(header):
                raise UsageError(
                    f"--truth {file}, line {reader.line_num}: expected {len(header)} fields, got {len(fields)}"
                )
            image, name = (fields[column].strip() for column in columns)
            if not image or not name:
                raise UsageError(f"--truth {file}, line {reader.line_num}: expected an image and a class, got none")
            rows.setdefault((re.sub(r"^(\.\.?[\\/])+", "", image), name), reader.line_num)
    except OSError as error:
        raise UsageError(
            f"--truth {file} cannot be read: {error.strerror or error}", "expected parent, or a CSV file"
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"--truth {file}: expected a CSV file in UTF-8: {error}") from error
    if not rows:
        raise UsageError(f"--truth {file}: expected a row for each image, got none")
    truth = TruthSource(str(file), tuple(rows))
    _require_one_class(truth, rows)
    return truth


def _require_one_class(truth: TruthSource, lines: dict[tuple[str, str], int]) -> None:
    """Check that the rows of an image agree, also if they write its path in several ways."""
    find = index_by_path([(image, (name, lines[image, name])) for image, name in truth.rows], by_file_name=False)
    for image, name in truth.rows:
        for other, line in find(image):
            if normalize_name(other) != normalize_name(name):
                raise UsageError(
                    f"--truth {truth.name}: two classes for {image}: {name} in line {lines[image, name]}, and {other} "
                    f"in line {line}"
                )
