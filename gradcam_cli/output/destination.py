"""The destination of results: the value of `-o`, artifact kinds and image formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcam_cli.errors import UsageError
from gradcam_cli.storage.paths import HTTP_PROTOCOLS, as_path, is_url, protocol_of

DEFAULT_OUTPUT_DIR = Path("gradcam_out")
"""Where a directory's results go unless another place is named."""

FORMATS = {"png": (".png",), "jpg": (".jpg", ".jpeg")}
"""Formats of pictures, with the suffixes of their files; the first is given to names."""

IMAGE_SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
ARTIFACT_SUFFIXES = {
    "figure": IMAGE_SUFFIXES,
    "overlay": IMAGE_SUFFIXES,
    "heatmap": IMAGE_SUFFIXES,
    "grid": IMAGE_SUFFIXES,
    "npy": (".npy",),
    "npz": (".npz",),
}
"""What can be saved, with the suffixes of its file; the first of a suffix is meant by it."""

GRID = "grid"
"""The one kind that shows all maps of an input together: its file belongs to each of them."""


@dataclass(frozen=True)
class Destination:
    """What `-o` and `--save` mean together.

    Attributes:
        artifact_kinds: what is saved of each map.
        directory: where results go, or None for the usual places.
        file: the one file that is asked for by name, or None.
        stdout: whether the bytes go to standard output instead.
        image_format: of pictures, a name in `FORMATS`.
    """

    artifact_kinds: tuple[str, ...]
    directory: Path | None = None
    file: Path | None = None
    stdout: bool = False
    image_format: str = "png"

    @property
    def single_grid(self) -> bool:
        """Whether the maps of all inputs go onto one sheet."""
        return self.file is not None and self.artifact_kinds == (GRID,)


def artifact_for_suffix(path: Path) -> str:
    """Return the kind of output that a file's suffix stands for.

    Raises:
        UsageError: none has this suffix.
    """
    for kind, suffixes in ARTIFACT_SUFFIXES.items():
        if path.suffix.lower() in suffixes:
            return kind
    raise UsageError(f"{path}: expected a name ending in {', '.join(_all_suffixes())}")


def format_for_suffix(path: Path) -> str:
    """Return the format that a picture's suffix stands for; `png` for every other file."""
    return next((name for name, suffixes in FORMATS.items() if path.suffix.lower() in suffixes), "png")


def _all_suffixes() -> list[str]:
    return sorted({suffix for suffixes in ARTIFACT_SUFFIXES.values() for suffix in suffixes})


def parse_destination(
    output: str | None, artifact_kinds: Sequence[str], image_format: str | None = None
) -> Destination:
    """Understand `-o`: `-` is standard output, a name with an output's suffix a file, anything else a directory.

    Files and directories may be URLs.

    Raises:
        UsageError: the file's suffix belongs to another kind or format than is saved, or several kinds are;
            or a URL cannot be written to, or needs a package that is missing.
    """
    chosen = tuple(dict.fromkeys(artifact_kinds))
    if output == "-":
        if len(chosen) > 1:
            raise UsageError(f"-o -: expected one kind of output, got {', '.join(chosen)}")
        return Destination(chosen or ("figure",), stdout=True, image_format=image_format or "png")
    if output is not None and protocol_of(output) in HTTP_PROTOCOLS:
        raise UsageError(f"-o {output}: expected a place to write to, such as s3://bucket/maps, got a web address")
    path = as_path(output) if output is not None else None
    if path is None or path.suffix.lower() not in _all_suffixes() or (not is_url(path) and path.is_dir()):
        return Destination(chosen or ("figure",), directory=path, image_format=image_format or "png")
    chosen = chosen or (artifact_for_suffix(path),)
    if image_format and path.suffix.lower() in IMAGE_SUFFIXES and format_for_suffix(path) != image_format:
        raise UsageError(f"-o {output}: --image-format {image_format} expects another suffix")
    if len(chosen) > 1 or path.suffix.lower() not in ARTIFACT_SUFFIXES[chosen[0]]:
        raise UsageError(
            f"-o {output}: expected a name for {', '.join(chosen)}, got a {path.suffix} file",
            "name a directory to save several kinds",
        )
    return Destination(chosen, file=path, image_format=format_for_suffix(path))
