"""Find the images that are meant: files, directories, URLs, standard input and lists of them."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcam_cli import remote
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.files import read_bytes
from gradcam_cli.places import HTTP, check_protocol, is_url, join, name_of, place, protocol_of, real

SUFFIXES = frozenset(
    [".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"]
)
NO_FILES = (
    *((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket")),
    *((stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device")),
)
MAX_BYTES = 1 << 31
"""Larger than any image that is decoded."""
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

    def read(self, most: int = MAX_BYTES) -> bytes:
        """Return the file's bytes.

        Args:
            most: bytes that a file of this machine may have.

        Raises:
            InputError: it is missing, not a file, too large, or cannot be read.
        """
        try:
            if self.name == "-":
                return sys.stdin.buffer.read()
            if is_url(self.name):
                return remote.read(self.name)
            _check_kind(os.stat(self.name), most)  # to open a device may already do something
            with open(self.name, "rb", opener=_open_at_once) as file:
                _check_kind(os.fstat(file.fileno()), most)
                return file.read()
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}") from error
        except ValueError as error:  # a NUL in the name
            raise InputError(f"cannot be read: {error}") from error


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe that took the place of a file."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(found: os.stat_result, most: int) -> None:
    """Refuse what is no file, or one that no image of the allowed size fills."""
    for is_kind, kind in NO_FILES:
        if is_kind(found.st_mode):
            hint = "- reads standard input" if kind == "a pipe" else None
            raise InputError(f"expected an image file, got {kind}", hint)
    if found.st_size > most:
        raise InputError(
            f"too large: expected at most {most:,} bytes, got {found.st_size:,}",
            "raise --max-pixels if you trust the file",
        )


def natural_key(text: str) -> str:
    """Return a sort key under which `img2` comes before `img10`, and numbers before other signs.

    A number stands in it as its count of digits, then these, after a sign that no name holds.
    """
    return re.sub(r"\d+", _number, text)


def _number(found: re.Match[str]) -> str:
    digits = str(int(found[0]))
    return f"\0{chr(len(digits))}{digits}"


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
    """Yield the images behind files, directories (recursive, natural order), URLs of both, and `-`.

    A path that does not exist is yielded too: reading it gives its error. A URL is a directory unless it is
    one of the web, ends in the suffix of an image, or turns out to be a file.

    Args:
        inputs: paths and URLs, in the person's order.
        skip: a directory that is not entered, that of the results.

    Raises:
        InputError: a folder behind a URL cannot be listed.
        UsageError: a package is missing that a URL needs.
    """
    for protocol in {protocol_of(path) for path in inputs if is_url(path)}:
        check_protocol(protocol)
    directories = [path for path in inputs if _is_directory(path)]
    known = set(directories)
    for path in inputs:
        if path not in known:
            yield Source(path)
            continue
        named = name_of(path) if is_url(path) else os.path.basename(os.path.abspath(path))
        try:
            yield from _walk(path, Path(named if len(directories) > 1 else ""), skip)
        except (FileNotFoundError, NotADirectoryError):  # of a URL: a file without a suffix, or nothing
            yield Source(path)


def _is_directory(path: str) -> bool:
    if is_url(path):
        return protocol_of(path) not in HTTP and os.path.splitext(path)[1].lower() not in SUFFIXES
    return path != "-" and os.path.isdir(path)


def _walk(directory: str, top: Path, skip: Path | None) -> Iterator[Source]:
    """Yield the images below a directory; of all the names, those of one folder at a time are kept.

    A folder that cannot be listed is yielded, too: reading it gives its error.
    """
    skipped = real(skip) if skip else None
    closed: list[OSError] = []
    for folder, below, files in _folders(directory, closed):
        below[:] = [name for name in _natural(below) if name[0] != "." and real(join(folder, name)) != skipped]
        here = top / (folder[len(directory) :].strip("/") if is_url(directory) else os.path.relpath(folder, directory))
        for name in _natural(files):
            stem, suffix = os.path.splitext(name)
            if name[0] != "." and suffix.lower() in SUFFIXES and not OWN_OUTPUT.search(stem):
                yield Source(join(folder, name), here / name)
    for error in closed:
        yield Source(error.filename, top / os.path.relpath(error.filename, directory))


def _folders(directory: str, closed: list[OSError]) -> Iterator[tuple[str, list[str], list[str]]]:
    if not is_url(directory):
        yield from os.walk(directory, onerror=closed.append)
        return
    try:
        yield from remote.walk(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(f"{error.filename or directory} cannot be listed: {error.strerror or error}") from error


def _natural(names: Iterable[str]) -> list[str]:
    """Return names in natural order, those of equal keys (`1` and `01`) in one that does not depend on the disk."""
    return sorted(sorted(names), key=natural_key)


def read_list(path: str, *, nul: bool = False) -> list[str]:
    """Return the paths that a list holds, one a line or separated by NUL bytes.

    Args:
        path: of the list, or its URL, or `-` for standard input.
        nul: whether NUL bytes stand between the paths.

    Raises:
        UsageError: the list cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else read_bytes(place(path))
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {error.strerror or error}") from error
    parts = data.split(b"\0") if nul else data.splitlines()
    return [os.fsdecode(part) for part in parts if part]
