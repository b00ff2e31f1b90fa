"""File names of all outputs, chosen before anything is computed and without collisions."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.images.source import SeriesSource, Source
from gradcam_cli.models.class_selection import TRUTH
from gradcam_cli.output.destination import (
    ARTIFACT_SUFFIXES,
    DEFAULT_OUTPUT_DIR,
    DIFFERENCE,
    FORMATS,
    GRID,
    PICTURES,
    Destination,
)
from gradcam_cli.storage.paths import basename, canonical, full_suffix, is_url
from gradcam_cli.storage.protected import current_inputs, is_link
from gradcam_cli.storage.targets import resolve_target

DEFAULT_METHOD = "gradcam"
"""The method that is not in a file name."""

DEFAULT_TARGET = "class"
"""The target that is not in a file name."""

MapKey = tuple[str, str, str]
"""The requested layer, method and class of a map."""

OUTPUT_MARKER = "_gradcam"
"""Part of every output file name."""

MAX_FILENAME_BYTES = 245
"""Limit of a file name: 255 bytes in most file systems, less a margin for a number."""

MAX_PART_BYTES = 64
"""Limit of the layer, the method and the class in a file name."""

MAX_GRID_ROWS = 100
"""Maximum number of images in one grid."""


class OutputFile(NamedTuple):
    """One output file.

    Attributes:
        request_key: the requested layer, method and class of the map.
        kind: a key of `ARTIFACT_SUFFIXES`.
        path: path or URL of the file.
    """

    request_key: MapKey
    kind: str
    path: Path


def setting_parts(
    target: str = DEFAULT_TARGET, against: Sequence[str] = (), gamma: str = "", expected: str | None = None
) -> list[str]:
    """Return the parts of a file name for the settings by which two runs explain different scores.

    Args:
        target: what is explained; it has no part if it is `DEFAULT_TARGET`.
        against: the contrasted classes, as requested.
        gamma: their weight as text; empty for the default one.
        expected: the expected class, or None.
    """
    parts = [] if target == DEFAULT_TARGET else [target]
    parts += [f"against-{'-'.join(against)}"] if against else []
    parts += [f"gamma-{gamma}"] if against and gamma else []
    return [*parts, *([] if expected is None else [f"expect-{expected}"])]


def paths_by_map(outputs: Sequence[OutputFile]) -> list[dict[str, str]]:
    """Return for each map of an image its paths by artifact kind."""
    paths: dict[MapKey, dict[str, str]] = {}
    for output in outputs:
        paths.setdefault(output.request_key, {})[output.kind] = str(output.path)
    return list(paths.values())


def plan_outputs(
    sources: Iterable[Source],
    destination: Destination,
    maps: Sequence[MapKey],
    inputs: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Iterator[tuple[Source, list[OutputFile]]]:
    """Yield each source with the output files of its maps.

    Outputs of input files are written to the current directory, those of input directories to a
    mirrored tree. A name contains layer or class only if the run has several of them, and the method also if it is not
    `DEFAULT_METHOD`; the parts of the settings; and a hash if the names of two maps were equal without it. No output
    overwrites an input or another output: a colliding name gets the suffix of its source (`cat.png_gradcam.png`), then
    a number.

    Args:
        sources: the images, in order.
        destination: from `parse_destination`.
        maps: the keys of all maps of an image.
        inputs: paths that must not be overwritten.
        settings: parts of the names for settings, from `setting_parts`.

    Raises:
        UsageError: a single output file is given for several results, or is an input.
    """
    if destination.stdout or destination.file:
        yield from _plan_single_file(sources, destination, maps, inputs)
        return
    protected, used = current_inputs(), {_digest(key) for key in _protected_paths(inputs)}
    names = list(_name_parts(maps, destination.artifact_kinds, destination.image_format, settings))
    max_stem_bytes = MAX_FILENAME_BYTES - max(len(os.fsencode(part)) for _, _, part in names)
    next_numbers: dict[bytes, int] = {}
    folder_of, key_of = lru_cache(8)(_output_folder), lru_cache(8)(_path_key)  # consecutive sources share a folder
    for source in sources:
        for path in source.paths:
            if any(_has_marker(name) for name in _with_target(path)):
                protected.add(path)  # no output of a directory has the name of another source
        folder = folder_of(destination.directory, source.relative_path.parent if source.relative_path else None)
        stem, full_name = (_truncate_bytes(name, max_stem_bytes) for name in (_stem(source), _file_name(source)))
        stem_digest = _digest(f"{key_of(str(folder))}/{stem}".casefold())
        for number, candidate in _unique_stems(stem, full_name, next_numbers.get(stem_digest, 2)):
            digests = [_digest(f"{key_of(str(folder))}/{candidate}{part}".casefold()) for _, _, part in names]
            if used.isdisjoint(digests):
                if number:
                    next_numbers[stem_digest] = number + 1
                break
        used.update(digests)
        yield source, [OutputFile(map_key, kind, folder / f"{candidate}{part}") for map_key, kind, part in names]


def _digest(key: str) -> bytes:
    """Return an 8-byte digest: a set of digests takes less memory than a set of a million paths.

    Two of a million paths have equal digests with a probability below 1e-7, which only causes a longer name.
    """
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _plan_single_file(
    sources: Iterable[Source], destination: Destination, maps: Sequence[MapKey], inputs: Sequence[str]
) -> Iterator[tuple[Source, list[OutputFile]]]:
    option, kind = f"-o {destination.file or '-'}", destination.artifact_kinds[0]
    maps = [map_key for map_key in maps if kind != DIFFERENCE or map_key[2] == TRUTH]
    if len(maps) > 1 and kind != GRID:
        raise UsageError(f"{option}: expected one map, got {len(maps)}", "give a directory instead")
    limit = MAX_GRID_ROWS if destination.single_grid else 1
    first = list(itertools.islice(sources, limit + 1))
    protected = current_inputs()
    protected.add(*inputs, *(path for source in first for path in source.paths))
    if destination.file and resolve_target(destination.file) in protected:
        raise UsageError(f"{option} is an input: it would be overwritten", "choose another output")
    if len(first) > limit:
        expected = f"at most {limit} inputs, got more" if destination.single_grid else "one input, got several"
        raise UsageError(f"{option}: expected {expected}", "give a directory instead")
    for source in first:
        yield source, [OutputFile(map_key, kind, destination.file or Path("-")) for map_key in maps]


def _protected_paths(inputs: Iterable[str]) -> Iterator[str]:
    """Yield the keys of the inputs whose names contain the output marker; no output can overwrite the others.

    An input that is a link protects itself and its target. An output that is a link is replaced, so
    its target needs no protection.
    """
    key_of = lru_cache(64)(_path_key)
    for path in inputs:
        for end in filter(_has_marker, _with_target(path.rstrip("/"))):
            folder, _, name = end.rpartition("/")
            yield f"{key_of(folder or ('/' if end[0] == '/' else '.'))}/{name}".casefold()


def _with_target(path: str) -> list[str]:
    """Return a path and, if it is a link, the path of its target."""
    return [path, os.path.realpath(path)] if not is_url(path) and is_link(path) else [path]


def _has_marker(path: str) -> bool:
    return OUTPUT_MARKER in path.rpartition("/")[2].casefold()


def _path_key(name: str) -> str:
    """Return a key that is equal for all names of one file, also in case-insensitive file systems."""
    return canonical(name).rstrip("/").casefold()


def _output_folder(directory: Path | None, relative_folder: Path | None) -> Path:
    if relative_folder is None:
        return directory or Path()
    return (directory or DEFAULT_OUTPUT_DIR).joinpath(*relative_folder.parts)


def _stem(source: Source) -> str:
    """Return the name of a source without its folder and suffix: `scan` for `scan.nii.gz`."""
    if source.name == "-":
        return "stdin"
    name = _file_name(source)
    return name if isinstance(source, SeriesSource) else name[: len(name) - len(full_suffix(name))]


def _file_name(source: Source) -> str:
    """Return the name of a file or a folder; that of the folder `.` is its real one."""
    name = source.relative_path.name if source.relative_path is not None else basename(source.name)
    return name or os.path.basename(os.path.abspath(source.name))


def _truncate_bytes(name: str, max_bytes: int) -> str:
    """Truncate a name to a number of UTF-8 bytes."""
    data = name.encode("utf-8", "surrogatepass")
    return name if len(data) <= max_bytes else data[: max(max_bytes, 1)].decode("utf-8", "ignore")


def _unique_stems(stem: str, full_name: str, first_number: int) -> Iterator[tuple[int, str]]:
    """Yield (number or 0, stem), from the first free number: trying all for thousands of equal names takes hours."""
    yield 0, stem
    yield 0, full_name
    yield from ((number, f"{stem}_{number}") for number in itertools.count(first_number))


def _name_parts(
    maps: Sequence[MapKey], artifact_kinds: Sequence[str], image_format: str, settings: Sequence[str]
) -> Iterator[tuple[MapKey, str, str]]:
    """Yield (map key, artifact kind, end of the file name) of all files of an image."""
    differs = [len({map_key[index] for map_key in maps}) > 1 for index in range(3)]
    differs[1] |= any(method != DEFAULT_METHOD for _, method, _ in maps)
    setting_part = list(map(safe_filename, settings))
    parts = {key: [safe_filename(part) for part, needed in zip(key, differs, strict=True) if needed] for key in maps}
    uses = Counter("_".join(each).casefold() for each in parts.values())
    for map_key, map_parts in parts.items():
        if uses["_".join(map_parts).casefold()] > 1:  # as of the classes `C++` and `c++`, or the layers `a/b` and `a-b`
            map_parts.insert(-1, _digest("\0".join(map_key)).hex())
        for kind in artifact_kinds:
            if kind == DIFFERENCE and map_key[2] != TRUTH:
                continue
            shown = {GRID: [], DIFFERENCE: setting_part + map_parts[:-1]}.get(kind, setting_part + map_parts)
            kind_part = [kind] if kind in PICTURES and kind != "figure" else []
            suffix = (FORMATS[image_format] if kind in PICTURES else ARTIFACT_SUFFIXES[kind])[0]
            yield map_key, kind, "_".join([OUTPUT_MARKER, *shown, *kind_part]) + suffix


def safe_filename(text: str) -> str:
    """Return a text as part of a file name; runs of special characters become a hyphen, long texts are shortened.

    A shortened text ends with a hash of the whole text.
    """
    part = re.sub(r"[^\w.+-]+", "-", text)
    if len(os.fsencode(part)) <= MAX_PART_BYTES:
        return part
    return f"{_truncate_bytes(part, MAX_PART_BYTES - 17)}-{_digest(text).hex()}"
