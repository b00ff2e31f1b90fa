"""Where results go: every output gets its name before anything is computed, and no two share one."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import (
    ARTIFACT_SUFFIXES,
    DEFAULT_OUTPUT_DIR,
    FORMATS,
    GRID,
    IMAGE_SUFFIXES,
    Destination,
)
from gradcam_cli.output.taken import Taken
from gradcam_cli.storage.paths import basename, canonical, is_url

OUTPUT_MARKER = "_gradcam"
"""Stands in every name that is made here."""

MAX_FILENAME_BYTES = 245
"""Bytes of an output's name: file systems take 255, and a number may be added."""

MAX_GRID_ROWS = 100
"""Inputs on one sheet; a picture's height has its limits."""


class OutputFile(NamedTuple):
    """One file to write.

    Attributes:
        request_key: the layer, method and class of the map, as they were asked for.
        kind: one of `SUFFIXES`.
        path: where to.
    """

    request_key: tuple[str, str, str]
    kind: str
    path: Path


def paths_by_map(outputs: Sequence[OutputFile]) -> list[dict[str, str]]:
    """Return the paths of each map of an input, by kind."""
    paths: dict[tuple[str, str, str], dict[str, str]] = {}
    for output in outputs:
        paths.setdefault(output.request_key, {})[output.kind] = str(output.path)
    return list(paths.values())


def plan_outputs(
    sources: Iterable[Source],
    destination: Destination,
    maps: Sequence[tuple[str, str, str]],
    inputs: Sequence[str] = (),
) -> Iterator[tuple[Source, list[OutputFile]]]:
    """Give every map of every source its file.

    Files asked for by name go to the current directory, those found in a directory into a mirrored
    tree. A name gains layer, method or class only where the run makes several of them. An output
    never takes the place of an input, nor of another output: the later of two gains its suffix
    (`cat.png_gradcam.png`), then a number.

    Args:
        sources: in order.
        destination: from `read_destination`.
        maps: (layer, method, class) of every map that a source gives, as they were asked for.
        inputs: paths that must not be written to.

    Raises:
        UsageError: one file is named for several results, or for an input.
    """
    if destination.stdout or destination.file:
        yield from _plan_single_file(sources, destination, maps, inputs)
        return
    taken = Taken(_protected_paths(inputs))
    names = list(_name_parts(maps, destination.artifact_kinds, destination.image_format))
    room = MAX_FILENAME_BYTES - max(len(os.fsencode(part)) for _, _, part in names)
    folder_of, key_of = lru_cache(8)(_output_folder), lru_cache(8)(_path_key)  # sources of a folder follow each other
    for source in sources:
        folder = folder_of(destination.directory, source.relative_path.parent if source.relative_path else None)
        for candidate in _unique_stems(
            _truncate_bytes(_stem(source), room), _truncate_bytes(basename(source.name), room)
        ):
            keys = [f"{key_of(str(folder))}/{candidate}{part}".casefold() for _, _, part in names]
            if not any(key in taken for key in keys):
                break
        taken.update(keys)
        yield source, [OutputFile(which, kind, folder / f"{candidate}{part}") for which, kind, part in names]


def _plan_single_file(
    sources: Iterable[Source], destination: Destination, maps: Sequence[tuple[str, str, str]], inputs: Sequence[str]
) -> Iterator[tuple[Source, list[OutputFile]]]:
    option = f"-o {destination.file or '-'}"
    if len(maps) > 1 and destination.artifact_kinds[0] != GRID:
        raise UsageError(f"{option}: expected one map, got {len(maps)}", "name a directory instead")
    if destination.file and _path_key(str(destination.file)) in (_path_key(path) for path in inputs if path != "-"):
        raise UsageError(f"{option} is an input: it would be overwritten")
    most = MAX_GRID_ROWS if destination.single_grid else 1
    found = list(itertools.islice(sources, most + 1))
    if len(found) > most:
        expected = f"at most {most} inputs, got more" if destination.single_grid else "one input, got several"
        raise UsageError(f"{option}: expected {expected}", "name a directory instead")
    for source in found:
        yield (
            source,
            [OutputFile(which, destination.artifact_kinds[0], destination.file or Path("-")) for which in maps],
        )


def _protected_paths(inputs: Iterable[str]) -> Iterator[str]:
    """Yield the keys of inputs that bear a name such as outputs have; the others are in no output's way.

    Of a link both ends count. A link in an output's place does not: it is replaced, and not what it leads to.
    """
    key_of = lru_cache(64)(_path_key)
    for path in inputs:
        path = path.rstrip("/")
        link = not is_url(path) and os.path.islink(path)
        for end in [path, os.path.realpath(path)] if link else [path]:
            folder, _, name = end.rpartition("/")
            if OUTPUT_MARKER in name.casefold():
                yield f"{key_of(folder or ('/' if end[0] == '/' else '.'))}/{name}".casefold()


def _path_key(name: str) -> str:
    """Return what two names of one place share, also where case is not told apart."""
    return canonical(name).rstrip("/").casefold()


def _output_folder(directory: Path | None, relative_folder: Path | None) -> Path:
    return (
        directory or Path()
        if relative_folder is None
        else (directory or DEFAULT_OUTPUT_DIR).joinpath(*relative_folder.parts)
    )


def _stem(source: Source) -> str:
    if source.relative_path is not None:
        return source.relative_path.stem
    return "stdin" if source.name == "-" else Path(basename(source.name)).stem


def _truncate_bytes(name: str, max_bytes: int) -> str:
    """Cut a name to as many bytes as a file's name has room for; what is behind a URL may be longer, but need not."""
    data = name.encode("utf-8", "surrogatepass")
    return name if len(data) <= max_bytes else data[: max(max_bytes, 1)].decode("utf-8", "ignore")


def _unique_stems(stem: str, full_name: str) -> Iterator[str]:
    yield stem
    yield full_name
    yield from (f"{stem}_{number}" for number in itertools.count(2))


def _name_parts(
    maps: Sequence[tuple[str, str, str]], artifact_kinds: Sequence[str], image_format: str
) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    several = [len({which[place] for which in maps}) > 1 for place in range(3)]
    for which in maps:
        own = [safe_filename(part) for part, wanted in zip(which, several, strict=True) if wanted]
        for kind in artifact_kinds:
            parts = [] if kind == GRID else own
            shown = [kind] if kind in ("overlay", "heatmap", GRID) else []
            suffix = (FORMATS[image_format] if ARTIFACT_SUFFIXES[kind] is IMAGE_SUFFIXES else ARTIFACT_SUFFIXES[kind])[
                0
            ]
            yield which, kind, "_".join([OUTPUT_MARKER, *parts, *shown]) + suffix


def safe_filename(text: str) -> str:
    """Return a text as part of a file's name: hyphens for what may not stand there."""
    return re.sub(r"[^\w.+-]+", "-", text)
