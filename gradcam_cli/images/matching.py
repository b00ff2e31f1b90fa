"""Tables of images: their columns, and the rows that belong to an image."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from gradcam_cli.errors import UsageError

T = TypeVar("T")


def column_index(header: Sequence[str], name: str, table: str) -> int:
    """Return the index of a column.

    Args:
        header: the names of all columns.
        name: the name of the column.
        table: the option and the file, for messages.

    Raises:
        UsageError: there is no column of this name, or several.
    """
    if header.count(name) != 1:
        raise UsageError(
            f"{table}: expected one column {name} in the first line, got {header.count(name)}",
            f"its columns are {', '.join(header)}",
        )
    return header.index(name)


def index_by_path(items: Iterable[tuple[str, T]], *, by_file_name: bool = True) -> Callable[[str], list[T]]:
    """Return a function that finds the items of an image by its path.

    `val/a.jpg` in a file matches `/data/val/a.jpg`; the longest matching path wins. If no path matches, the file name
    alone decides, provided that the items of a single image have it. A name without extension, as in ImageNet's
    annotations, matches any extension.

    Args:
        items: pairs of the path of an image, and what belongs to it.
        by_file_name: whether the file name decides if no path matches.
    """
    files: dict[tuple[str, ...], list[T]] = {}
    for path, item in items:
        files.setdefault(_path_parts(path), []).append(item)
    by_last_part: dict[tuple[str, ...], list[list[T]]] = {}
    files.pop((), None)  # a name such as "/" is no image
    for parts, group in files.items() if by_file_name else ():
        by_last_part.setdefault(parts[-1:], []).append(group)

    def find(path: str) -> list[T]:
        variants = _path_variants(_path_parts(path))
        tails = [parts[start:] for start in range(len(variants[0])) for parts in variants]
        by_path = [files[tail] for tail in tails if tail in files]
        names = [parts[-1:] for parts in variants]
        by_name = [by_last_part[name][0] for name in names if len(by_last_part.get(name, ())) == 1]
        return next(iter(by_path + by_name), [])

    return find


def _path_parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[\\/]", path) if part not in ("", "."))


def _path_variants(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return a path's parts, and the parts without the extension if the name has exactly one."""
    stem = [part.partition(".")[0] for part in parts[-1:] if part.count(".") == 1]
    return [parts, (*parts[:-1], *stem)] if stem else [parts]
