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
from gradcam_cli.output.destination import FORMATS, PICTURES, SHEET, SUFFIXES, TREE, Destination
from gradcam_cli.output.taken import Taken
from gradcam_cli.storage.paths import is_url, name_of, real

MARK = "_gradcam"
"""Stands in every name that is made here."""

LONGEST = 245
"""Bytes of an output's name: file systems take 255, and a number may be added."""

MOST_ROWS = 100
"""Inputs on one sheet; a picture's height has its limits."""


class Output(NamedTuple):
    """One file to write.

    Attributes:
        requested: the layer, method and class of the map, as they were asked for.
        kind: one of `SUFFIXES`.
        path: where to.
    """

    requested: tuple[str, str, str]
    kind: str
    path: Path


def paths_by_map(outputs: Sequence[Output]) -> list[dict[str, str]]:
    """Return the paths of each map of an input, by kind."""
    paths: dict[tuple[str, str, str], dict[str, str]] = {}
    for output in outputs:
        paths.setdefault(output.requested, {})[output.kind] = str(output.path)
    return list(paths.values())


def plan_outputs(
    sources: Iterable[Source],
    destination: Destination,
    maps: Sequence[tuple[str, str, str]],
    inputs: Sequence[str] = (),
) -> Iterator[tuple[Source, list[Output]]]:
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
        yield from _single(sources, destination, maps, inputs)
        return
    taken = Taken(_keys_of_inputs(inputs))
    names = list(_name_parts(maps, destination.kinds, destination.format))
    room = LONGEST - max(len(os.fsencode(part)) for _, _, part in names)
    folder_of, key_of = lru_cache(8)(_folder), lru_cache(8)(_key)  # sources of a folder follow each other
    for source in sources:
        folder = folder_of(destination.directory, source.relative.parent if source.relative else None)
        for candidate in _candidates(_cut(_stem(source), room), _cut(name_of(source.name), room)):
            keys = [f"{key_of(str(folder))}/{candidate}{part}".casefold() for _, _, part in names]
            if not any(key in taken for key in keys):
                break
        taken.update(keys)
        yield source, [Output(which, kind, folder / f"{candidate}{part}") for which, kind, part in names]


def _single(
    sources: Iterable[Source], destination: Destination, maps: Sequence[tuple[str, str, str]], inputs: Sequence[str]
) -> Iterator[tuple[Source, list[Output]]]:
    option = f"-o {destination.file or '-'}"
    if len(maps) > 1 and destination.kinds[0] != SHEET:
        raise UsageError(f"{option}: expected one map, got {len(maps)}", "name a directory instead")
    if destination.file and _key(str(destination.file)) in (_key(path) for path in inputs if path != "-"):
        raise UsageError(f"{option} is an input: it would be overwritten")
    most = MOST_ROWS if destination.joint else 1
    found = list(itertools.islice(sources, most + 1))
    if len(found) > most:
        expected = f"at most {most} inputs, got more" if destination.joint else "one input, got several"
        raise UsageError(f"{option}: expected {expected}", "name a directory instead")
    for source in found:
        yield source, [Output(which, destination.kinds[0], destination.file or Path("-")) for which in maps]


def _keys_of_inputs(inputs: Iterable[str]) -> Iterator[str]:
    """Yield the keys of inputs that bear a name such as outputs have; the others are in no output's way.

    Of a link both ends count. A link in an output's place does not: it is replaced, and not what it leads to.
    """
    key_of = lru_cache(64)(_key)
    for path in inputs:
        path = path.rstrip("/")
        link = not is_url(path) and os.path.islink(path)
        for end in [path, os.path.realpath(path)] if link else [path]:
            folder, _, name = end.rpartition("/")
            if MARK in name.casefold():
                yield f"{key_of(folder or ('/' if end[0] == '/' else '.'))}/{name}".casefold()


def _key(name: str) -> str:
    """Return what two names of one place share, also where case is not told apart."""
    return real(name).rstrip("/").casefold()


def _folder(directory: Path | None, below: Path | None) -> Path:
    return directory or Path() if below is None else (directory or TREE).joinpath(*below.parts)


def _stem(source: Source) -> str:
    if source.relative is not None:
        return source.relative.stem
    return "stdin" if source.name == "-" else Path(name_of(source.name)).stem


def _cut(name: str, room: int) -> str:
    """Cut a name to as many bytes as a file's name has room for; what is behind a URL may be longer, but need not."""
    data = name.encode("utf-8", "surrogatepass")
    return name if len(data) <= room else data[: max(room, 1)].decode("utf-8", "ignore")


def _candidates(stem: str, full_name: str) -> Iterator[str]:
    yield stem
    yield full_name
    yield from (f"{stem}_{number}" for number in itertools.count(2))


def _name_parts(
    maps: Sequence[tuple[str, str, str]], kinds: Sequence[str], picture_format: str
) -> Iterator[tuple[tuple[str, str, str], str, str]]:
    several = [len({which[place] for which in maps}) > 1 for place in range(3)]
    for which in maps:
        own = [plain_name(part) for part, wanted in zip(which, several, strict=True) if wanted]
        for kind in kinds:
            parts = [] if kind == SHEET else own
            shown = [kind] if kind in ("overlay", "heatmap", SHEET) else []
            suffix = (FORMATS[picture_format] if SUFFIXES[kind] is PICTURES else SUFFIXES[kind])[0]
            yield which, kind, "_".join([MARK, *parts, *shown]) + suffix


def plain_name(text: str) -> str:
    """Return a text as part of a file's name: hyphens for what may not stand there."""
    return re.sub(r"[^\w.+-]+", "-", text)
