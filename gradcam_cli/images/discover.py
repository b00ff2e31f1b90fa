"""Expansion of the inputs (files, directories, URLs, lists, standard input) to image sources."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images import heif
from gradcam_cli.images.axes import INPUT_OF_RANK
from gradcam_cli.images.folders import FRAME_SUFFIXES, inputs_of_folder, suffixes_of
from gradcam_cli.images.source import (
    ARRAY_SUFFIX,
    HEIF_SUFFIXES,
    SLICE_SUFFIX,
    SUFFIXES,
    UNSUPPORTED_SUFFIXES,
    SeriesSource,
    Source,
)
from gradcam_cli.near_matches import near_file
from gradcam_cli.storage import remote
from gradcam_cli.storage.download import hosts_of
from gradcam_cli.storage.files import read_bytes
from gradcam_cli.storage.paths import (
    HTTP_PROTOCOLS,
    as_path,
    basename,
    canonical,
    full_suffix,
    is_url,
    join_path,
    protocol_of,
    require_protocol,
)

OUTPUT_PATTERN = re.compile(r"_gradcam(_.*)?$")
"""Matches the stems of output files, which are not used as inputs."""
MAX_LIST_BYTES = 1 << 28
"""Limit of a list file's size: a million paths of 268 bytes."""


def natural_key(text: str) -> str:
    """Return a sort key that orders `img2` before `img10`, and numbers before other characters.

    Each number is replaced by NUL, the count of its digits and the digits.
    """
    return re.sub(r"\d+", _digit_key, text)


def _digit_key(match: re.Match[str]) -> str:
    digits = str(int(match[0]))
    return f"\0{chr(len(digits))}{digits}"


def expand_inputs(inputs: Sequence[str], files_from: str | None, *, nul: bool = False) -> list[str]:
    """Return the paths of the command line, then those of `--files-from`.

    Raises:
        UsageError: there is no path, the list cannot be read, or standard input would be read twice.
    """
    paths = list(inputs)
    if files_from is not None:
        paths += read_list(files_from, nul=nul)
    elif nul:
        raise UsageError("--null requires --files-from")
    if not paths:
        raise UsageError("no input", "give an image, a directory or -; gradcam --help shows examples")
    if paths.count("-") + (files_from == "-") > 1:
        raise UsageError("standard input can be read only once")
    return paths


def no_images_error(inputs: Sequence[str], rank: int = 2) -> InputError:
    """Return the error for inputs without a file that a model takes.

    Args:
        inputs: paths and URLs.
        rank: number of spatial axes of the model input.
    """
    further = {1: "", 2: ", and .npy with --rgb", 3: ", and folders of .dcm files or of images"}[rank]
    return InputError(
        f"no {INPUT_OF_RANK[rank].partition(' ')[2]} found in {', '.join(inputs)}",
        f"supported suffixes: {' '.join(sorted(suffixes_of(rank)))}{further}",
    )


def find_sources(
    inputs: Sequence[str], *, skip: Path | None = None, arrays: bool = False, rank: int = 2
) -> Iterator[Source]:
    """Yield the inputs in files, directories (recursive, natural order), URLs, and `-` (standard input).

    A missing path is yielded too; reading it raises the error. A URL is a directory unless its protocol
    is HTTP, it ends in the suffix of an input, or the store has a file with this name.

    Args:
        inputs: paths and URLs, in the order of the command line.
        skip: the output directory, which is not entered.
        arrays: whether `.npy` files in directories are images.
        rank: number of spatial axes of the model input. For 3, a folder of DICOM files is one volume, and a folder of
            images one film; see `inputs_of_folder`.

    Raises:
        InputError: a folder at a URL cannot be listed.
        UsageError: a package that a URL requires is not installed.
    """
    for protocol in {protocol_of(path) for path in inputs if is_url(path)} - set(HTTP_PROTOCOLS):
        require_protocol(protocol)
    hosts = frozenset(hosts_of([path for path in inputs if protocol_of(path) in HTTP_PROTOCOLS]))
    directories = [path for path in inputs if _is_directory(path, rank)]
    directory_set = set(directories)
    for path in inputs:
        if path not in directory_set:
            yield Source(path, hosts=hosts if protocol_of(path) in HTTP_PROTOCOLS else frozenset())
            continue
        name = basename(path) if is_url(path) else os.path.basename(os.path.abspath(path))
        try:
            suffixes = suffixes_of(rank, arrays=arrays)
            yield from _walk(path, Path(name if len(directories) > 1 else ""), skip, suffixes, rank)
        except (FileNotFoundError, NotADirectoryError):  # a URL of a file without suffix, or of nothing
            yield Source(path)


def _is_directory(path: str, rank: int) -> bool:
    if is_url(path):
        suffixes = {*SUFFIXES, *HEIF_SUFFIXES, ARRAY_SUFFIX, *(suffixes_of(rank) | {SLICE_SUFFIX} if rank != 2 else ())}
        return protocol_of(path) not in HTTP_PROTOCOLS and full_suffix(path) not in suffixes
    return path != "-" and os.path.isdir(path)


def _walk(directory: str, top: Path, skip: Path | None, suffixes: Collection[str], rank: int) -> Iterator[Source]:
    """Yield the inputs in a directory, recursively; only the names of one folder are in memory.

    A directory that is one input itself is placed as a file is. A folder that cannot be listed is yielded as a source;
    reading it raises the error.
    """
    skipped = canonical(skip) if skip else ""
    left_out: Counter[str] = Counter()
    unreadable: list[OSError] = []
    for folder, subfolders, files in _walk_folders(directory, unreadable):
        visible = [name for name in _natural_sorted(subfolders) if name[0] != "."]
        subfolders[:] = [name for name in visible if not _is_folder(skipped, folder, name)]
        below = folder[len(directory) :].strip("/") if is_url(directory) else os.path.relpath(folder, directory)
        names = [name for name in _natural_sorted(files) if not _is_hidden_or_output(name)]
        below_folders = [join_path(folder, name) for name in subfolders]
        found = inputs_of_folder(folder, names, suffixes, rank, partial(_have_frames, below_folders))
        for name in found.files:
            yield Source(join_path(folder, name), top / below / name.lstrip("/"))
        if found.series:
            paths = tuple(join_path(folder, name) for name in found.series)
            yield SeriesSource(folder, top / below if folder != directory else None, files=paths)
        left_out.update(full_suffix(name) for name in found.left_out)
    _log_left_out(directory, left_out, rank)
    for error in unreadable:
        yield Source(error.filename, top / os.path.relpath(error.filename, directory))


def _is_hidden_or_output(name: str) -> bool:
    return name[0] == "." or OUTPUT_PATTERN.search(name[: len(name) - len(full_suffix(name))]) is not None


def _have_frames(folders: Iterable[str]) -> bool:
    """Return whether a folder or a folder below it has images."""
    walked = (names for folder in folders for _, _, names in _walk_folders(folder, []))
    return any(
        full_suffix(name) in FRAME_SUFFIXES and not _is_hidden_or_output(name) for each in walked for name in each
    )


def _log_left_out(directory: str, left_out: Counter[str], rank: int) -> None:
    """Log how many files of a directory are no inputs; a warning if some are images of an unsupported format."""
    if left_out:
        counts = ", ".join(f"{suffix or 'no suffix'} ({count})" for suffix, count in left_out.most_common(8))
        unsupported = {*UNSUPPORTED_SUFFIXES, *HEIF_SUFFIXES} if rank == 2 else set()
        level = logging.WARNING if left_out.keys() & unsupported else logging.INFO
        how = f"; HEIC photos require {heif.HINT}" if left_out.keys() & unsupported & HEIF_SUFFIXES else ""
        log.log(level, "%s: files left out: %s%s", escape_control_chars(directory), counts, how)


def _is_folder(path: str, folder: str, name: str) -> bool:
    """Return whether a canonical path is that of a subfolder; only a subfolder of its name is looked up."""
    return basename(path).casefold() == name.casefold() and canonical(join_path(folder, name)) == path


def _walk_folders(directory: str, unreadable: list[OSError]) -> Iterator[tuple[str, list[str], list[str]]]:
    if not is_url(directory):
        yield from _walk_local_folders(directory, unreadable)
        return
    try:
        yield from remote.walk(directory)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise InputError(f"{error.filename or directory} cannot be listed: {error.strerror or error}") from error


def _walk_local_folders(directory: str, unreadable: list[OSError]) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what `os.walk` yields; that of Python 3.11 exceeds the recursion limit in deep folders."""
    pending = [directory]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as entries:
                names = [(entry.name, _is_directory_entry(entry)) for entry in entries]
        except OSError as error:
            unreadable.append(OSError(error.errno, error.strerror, folder))
            continue
        subfolders = [name for name, is_directory in names if is_directory]
        yield folder, subfolders, [name for name, is_directory in names if not is_directory]
        paths = [os.path.join(folder, name) for name in reversed(subfolders)]
        pending += [path for path in paths if not os.path.islink(path)]


def _is_directory_entry(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _natural_sorted(names: Iterable[str]) -> list[str]:
    """Return names in natural order; equal keys (`1` and `01`) in code point order."""
    return sorted(sorted(names), key=natural_key)


def read_list(path: str, *, nul: bool = False) -> list[str]:
    """Return the paths in a list file, one per line or separated by NUL bytes.

    Args:
        path: path or URL of the list, or `-` for standard input.
        nul: whether NUL bytes separate the paths.

    Raises:
        UsageError: the list cannot be read.
    """
    try:
        data = sys.stdin.buffer.read() if path == "-" else read_bytes(as_path(path), MAX_LIST_BYTES, allow_pipe=True)
    except OSError as error:
        hint = near_file(path) if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"list {path} cannot be read: {error.strerror or error}", hint) from error
    parts = data.split(b"\0") if nul else data.splitlines()
    return [os.fsdecode(part) for part in parts if part]
