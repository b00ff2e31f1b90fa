"""Find the images that are meant: files, directories, URLs, standard input and lists of them."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.source import SUFFIXES, Source
from gradcam_cli.storage import remote
from gradcam_cli.storage.files import read_bytes
from gradcam_cli.storage.paths import (
    HTTP_PROTOCOLS,
    as_path,
    basename,
    canonical,
    is_url,
    join_path,
    protocol_of,
    require_protocol,
)

OUTPUT_PATTERN = re.compile(r"_gradcam(_.*)?$")
"""Stems of files that gradcam itself wrote: a directory that is run again does not explain its results."""


def natural_key(text: str) -> str:
    """Return a sort key under which `img2` comes before `img10`, and numbers before other signs.

    A number stands in it as its count of digits, then these, after a sign that no name holds.
    """
    return re.sub(r"\d+", _digit_key, text)


def _digit_key(match: re.Match[str]) -> str:
    digits = str(int(match[0]))
    return f"\0{chr(len(digits))}{digits}"


def expand_inputs(inputs: Sequence[str], files_from: str | None, *, nul: bool = False) -> list[str]:
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


def no_images_error(inputs: Sequence[str]) -> InputError:
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
        require_protocol(protocol)
    directories = [path for path in inputs if _is_directory(path)]
    known = set(directories)
    for path in inputs:
        if path not in known:
            yield Source(path)
            continue
        named = basename(path) if is_url(path) else os.path.basename(os.path.abspath(path))
        try:
            yield from _walk(path, Path(named if len(directories) > 1 else ""), skip)
        except (FileNotFoundError, NotADirectoryError):  # of a URL: a file without a suffix, or nothing
            yield Source(path)


def _is_directory(path: str) -> bool:
    if is_url(path):
        return protocol_of(path) not in HTTP_PROTOCOLS and os.path.splitext(path)[1].lower() not in SUFFIXES
    return path != "-" and os.path.isdir(path)


def _walk(directory: str, top: Path, skip: Path | None) -> Iterator[Source]:
    """Yield the images below a directory; of all the names, those of one folder at a time are kept.

    A folder that cannot be listed is yielded, too: reading it gives its error.
    """
    skipped = canonical(skip) if skip else None
    closed: list[OSError] = []
    for folder, below, files in _walk_folders(directory, closed):
        below[:] = [
            name for name in _natural_sorted(below) if name[0] != "." and canonical(join_path(folder, name)) != skipped
        ]
        here = top / (folder[len(directory) :].strip("/") if is_url(directory) else os.path.relpath(folder, directory))
        for name in _natural_sorted(files):
            stem, suffix = os.path.splitext(name)
            if name[0] != "." and suffix.lower() in SUFFIXES and not OUTPUT_PATTERN.search(stem):
                yield Source(join_path(folder, name), here / name)
    for error in closed:
        yield Source(error.filename, top / os.path.relpath(error.filename, directory))


def _walk_folders(directory: str, unreadable: list[OSError]) -> Iterator[tuple[str, list[str], list[str]]]:
    if not is_url(directory):
        yield from os.walk(directory, onerror=unreadable.append)
        return
    try:
        yield from remote.walk(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(f"{error.filename or directory} cannot be listed: {error.strerror or error}") from error


def _natural_sorted(names: Iterable[str]) -> list[str]:
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
        data = sys.stdin.buffer.read() if path == "-" else read_bytes(as_path(path))
    except OSError as error:
        raise UsageError(f"the list {path} cannot be read: {error.strerror or error}") from error
    parts = data.split(b"\0") if nul else data.splitlines()
    return [os.fsdecode(part) for part in parts if part]
