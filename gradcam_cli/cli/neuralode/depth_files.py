"""The files of `gradcam neuralode explain`: what `-o` and `--save` mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import find_sources
from gradcam_cli.output.destination import (
    DEFAULT_OUTPUT_DIR,
    FIGURE_SUFFIXES,
    GRID,
    Destination,
    require_directory_name,
)
from gradcam_cli.output.naming import plan_outputs
from gradcam_cli.storage.paths import as_path, is_url
from gradcam_cli.storage.targets import is_special

if TYPE_CHECKING:
    from gradcam_cli.neuralode.explain.run import DepthTask

ARTIFACT_SUFFIXES = {"figure": FIGURE_SUFFIXES, "gif": (".gif",), "apng": (".apng",), "npz": (".npz",)}
"""The kinds of files with their suffixes; files in a directory get the first one."""
_ALL_SUFFIXES = tuple(suffix for suffixes in ARTIFACT_SUFFIXES.values() for suffix in suffixes)


def plan_files(inputs: Sequence[str], output: str | None, kinds: Sequence[str]) -> Iterator[DepthTask]:
    """Yield each image with its files: the image's name, `_gradcam_depth` and a suffix."""
    destination = destination_of(output)
    file, directory = destination.file, destination.directory
    if file and (kinds not in ((), (_artifact_kind(file),))):
        raise UsageError(
            f"-o {file}: expected a name for {', '.join(kinds)}", "use a directory to save several kinds of files"
        )
    kinds = (_artifact_kind(file),) if file else tuple(dict.fromkeys(kinds)) or ("figure",)
    sources = find_sources(inputs, skip=directory or DEFAULT_OUTPUT_DIR)
    for source, outputs in plan_outputs(sources, destination, [("", "", "")], inputs):
        stem = str(outputs[0].path).removesuffix(f"_gradcam_{GRID}.png")
        yield source, {kind: file or as_path(f"{stem}_gradcam_depth{ARTIFACT_SUFFIXES[kind][0]}") for kind in kinds}


def destination_of(output: str | None) -> Destination:
    """Return the directory or file that `-o` names.

    Raises:
        UsageError: it is a file of another image format.
    """
    target = as_path(output) if output else None
    is_file = target is not None and is_file_target(target)
    if output and not is_file:
        require_directory_name(output, _ALL_SUFFIXES)
    return Destination(("figure",), file=target) if is_file else Destination((GRID,), directory=target)


def is_file_target(path: Path) -> bool:
    """Return whether `-o` names a file."""
    known = path.suffix.lower() in _ALL_SUFFIXES
    return is_special(path) or (known and (is_url(path) or not path.is_dir()))


def _artifact_kind(path: Path) -> str:
    return next((kind for kind, suffixes in ARTIFACT_SUFFIXES.items() if path.suffix.lower() in suffixes), "figure")
