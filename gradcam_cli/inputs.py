"""Find the images that are meant: files, directories, standard input and lists of paths."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcam_cli.errors import InputError, UsageError

SUFFIXES = frozenset(
    [".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"]
)
OWN_OUTPUT = re.compile(r"_gradcam(_.*)?$")
"""Stems of files that gradcam itself wrote: a directory that is run again does not explain its results."""


@dataclass(frozen=True)
class Source:
    """One image to explain.

    Attributes:
        name: as the person gave it or as it was found; `-` for standard input.
        relative: its place below the directory that was asked for; None for a file asked for by name.
    """

    name: str
    relative: Path | None = None

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            InputError: it is missing, not a file, or cannot be read.
        """
        try:
            if self.name == "-":
                return sys.stdin.buffer.read()
            with open(self.name, "rb") as file:
                if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):
                    raise InputError("expected an image file, got a device")
                return file.read()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the name
            raise InputError(f"cannot be read: {error}") from error


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key under which `img2` comes before `img10`."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def gather(inputs: Sequence[str], files_from: str | None, *, nul: bool = False) -> list[str]:
    """Return the paths asked for, those of a list after those of the command line.

    Raises:
        UsageError: there is none, the list cannot be read, or standard input would be read twice.
    """
    paths = list(inputs)
    if files_from is not None:
        paths += read_list(files_from, nul=nul)
    elif nul:
        raise UsageError("--null belongs to --files-from, which is missing")
    if not paths:
        raise UsageError("expected an image, a directory or -, got no input", "gradcam --help shows examples")
    if paths.count("-") + (files_from == "-") > 1:
        raise UsageError("standard input can be read only once")
    return paths


def no_image(inputs: Sequence[str]) -> InputError:
    """Return the error for inputs that hold no image."""
    return InputError(f"no image found in {', '.join(inputs)}", f"looked for {' '.join(sorted(SUFFIXES))}")


def find_sources(inputs: Sequence[str], *, skip: Path | None = None) -> Iterator[Source]:
    """Yield the images behind files, directories (recursive, natural order) and `-`.

    A path that does not exist is yielded too: reading it gives its error.

    Args:
        inputs: paths, in the person's order.
        skip: a directory that is not entered, that of the results.
    """
    directories = [path for path in inputs if path != "-" and os.path.isdir(path)]
    for path in inputs:
        if path != "-" and os.path.isdir(path):
            top = Path(os.path.basename(os.path.abspath(path))) if len(directories) > 1 else Path()
            yield from _walk(path, top, skip)
        else:
            yield Source(path)


def _walk(directory: str, top: Path, skip: Path | None) -> Iterator[Source]:
    skipped = os.path.realpath(skip) if skip else None
    for folder, below, files in os.walk(directory):
        below[:] = sorted(
            (name for name in below if name[0] != "." and os.path.realpath(os.path.join(folder, name)) != skipped),
            key=natural_key,
        )
        for name in sorted(files, key=natural_key):
            stem, suffix = os.path.splitext(name)
            if name[0] != "." and suffix.lower() in SUFFIXES and not OWN_OUTPUT.search(stem):
                path = os.path.join(folder, name)
                yield Source(path, top / os.path.relpath(path, directory))


def read_list(path: str, *, nul: bool = False) -> list[str]:
    """Return the paths that a file lists, one a line or separated by NUL bytes; `-` is standard input.

    Raises:
        UsageError: the list cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {error.strerror}") from error
    parts = data.split(b"\0") if nul else data.splitlines()
    return [os.fsdecode(part) for part in parts if part]
