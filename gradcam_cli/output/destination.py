"""Parsing of `-o` and `--save`: output directory or file, artifact kinds, image formats."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcam_cli.errors import UsageError
from gradcam_cli.images.source import HEIF_SUFFIXES, SUFFIXES, UNSUPPORTED_SUFFIXES
from gradcam_cli.images.space import RANKS
from gradcam_cli.storage.paths import HTTP_PROTOCOLS, as_path, full_suffix, is_url, protocol_of
from gradcam_cli.storage.targets import STANDARD_OUTPUT, is_special

DEFAULT_OUTPUT_DIR = Path("gradcam_out")
"""Default output directory for the images of input directories."""

FORMATS = {"png": (".png",), "jpg": (".jpg", ".jpeg"), "pdf": (".pdf",), "svg": (".svg",)}
"""Formats of pictures with their suffixes; output files get the first one."""
VECTOR_FORMATS = ("pdf", "svg")
"""Formats of figures, grids and montages with text as text; overlays and heatmaps are pixels only."""

IMAGE_SUFFIXES = tuple(
    suffix for name, suffixes in FORMATS.items() if name not in VECTOR_FORMATS for suffix in suffixes
)
FIGURE_SUFFIXES = tuple(suffix for suffixes in FORMATS.values() for suffix in suffixes)
ARTIFACT_SUFFIXES = {
    "figure": FIGURE_SUFFIXES,
    "overlay": IMAGE_SUFFIXES,
    "heatmap": IMAGE_SUFFIXES,
    "grid": FIGURE_SUFFIXES,
    "difference": FIGURE_SUFFIXES,
    "montage": FIGURE_SUFFIXES,
    "film": (".gif", ".mp4"),
    "npy": (".npy",),
    "npz": (".npz",),
    "nifti": (".nii.gz", ".nii"),
}
"""Artifact kinds with their suffixes; a suffix alone stands for the first kind with it."""
INPUT_KINDS = {
    "overlay": ("image",),
    "heatmap": ("image",),
    "difference": ("image",),
    "montage": ("volume", "film"),
    "film": ("volume", "film"),
    "nifti": ("volume",),
}
"""The kinds of inputs that an artifact kind can show; all kinds for those that are not listed."""

GRID = "grid"
"""The artifact kind that shows all maps of an image in one file."""
DIFFERENCE = "difference"
"""The artifact kind that shows the map of the predicted class minus that of the true class."""
PICTURES = tuple(kind for kind, suffixes in ARTIFACT_SUFFIXES.items() if set(suffixes) & set(IMAGE_SUFFIXES))
"""The artifact kinds that are pictures."""
DRAWN = (*PICTURES, "film")
"""The artifact kinds in colors: the options of pictures apply to them."""
VECTOR_HINT = "only figure, grid, montage and difference can be PDF or SVG files"


@dataclass(frozen=True)
class Destination:
    """The destination of all output files of a run.

    Attributes:
        artifact_kinds: the kinds saved for each map, keys of `ARTIFACT_SUFFIXES`.
        directory: output directory, or None for the default.
        file: the single output file, or None.
        stdout: whether the file is written to standard output.
        image_format: a key of `FORMATS`; that of another output file is its suffix without the dot.
    """

    artifact_kinds: tuple[str, ...]
    directory: Path | None = None
    file: Path | None = None
    stdout: bool = False
    image_format: str = "png"

    @property
    def single_grid(self) -> bool:
        """Whether the maps of all images are drawn in one grid."""
        return self.file is not None and self.artifact_kinds == (GRID,)

    def root_of(self, path: Path) -> Path | None:
        """Return the directory of the results that a file belongs to, or None for the file that the user named."""
        if self.file:
            return None
        if self.directory or is_url(path):
            return self.directory
        return DEFAULT_OUTPUT_DIR if path.is_relative_to(DEFAULT_OUTPUT_DIR) else Path()

    def places(self, paths: Iterable[Path]) -> list[str]:
        """Return where files are written, in words: the file, or the directories of the results."""
        if self.stdout:
            return ["standard output"]
        if self.file:
            return [str(self.file)]
        roots = sorted({self.root_of(path) or path.parent for path in paths})
        return [f"{str(root).rstrip('/')}/" if root != Path() else "the current directory" for root in roots]


def artifact_for_suffix(path: Path) -> str:
    """Return the artifact kind of a file's suffix.

    Raises:
        UsageError: the suffix is unknown.
    """
    for kind, suffixes in ARTIFACT_SUFFIXES.items():
        if full_suffix(str(path)) in suffixes:
            return kind
    raise UsageError(f"{path}: expected a suffix {', '.join(_all_suffixes())}, got {full_suffix(str(path))!r}")


def format_for_suffix(path: Path) -> str:
    """Return the format of a file's suffix: a key of `FORMATS`, `gif`, `mp4` or `nii`; `png` for all other files."""
    suffix = full_suffix(str(path))
    other = suffix[1:] if suffix in (".gif", ".mp4", ".nii") else "png"
    return next((name for name, suffixes in FORMATS.items() if suffix in suffixes), other)


def allowed_kinds(input_kind: str) -> tuple[str, ...]:
    """Return the artifact kinds that can show an input of a kind, a key of `images.space.RANKS`."""
    return tuple(kind for kind in ARTIFACT_SUFFIXES if input_kind in INPUT_KINDS.get(kind, RANKS))


def require_kind(kind: str, input_kind: str) -> None:
    """Check that an artifact kind can show inputs of a kind.

    Args:
        kind: a key of `ARTIFACT_SUFFIXES`.
        input_kind: a key of `images.space.RANKS`.

    Raises:
        UsageError: it cannot.
    """
    if kind not in allowed_kinds(input_kind):
        expected = " or ".join(map(_with_article, INPUT_KINDS[kind]))
        hint = f"kinds for {input_kind}s: {', '.join(allowed_kinds(input_kind))}"
        raise UsageError(f"--save {kind}: expected {expected} as input, got {_with_article(input_kind)}", hint)


def require_rank(kinds: Iterable[str], rank: int) -> None:
    """Check that artifact kinds can show inputs of a number of spatial axes.

    Raises:
        UsageError: one of them cannot.
    """
    input_kinds = [name for name, axes in RANKS.items() if axes == rank]
    for kind in kinds:
        if not any(kind in allowed_kinds(input_kind) for input_kind in input_kinds):
            require_kind(kind, input_kinds[0])


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _all_suffixes() -> list[str]:
    return sorted({suffix for suffixes in ARTIFACT_SUFFIXES.values() for suffix in suffixes})


def require_suffix(option: str, path: Path | None, suffixes: Collection[str]) -> None:
    """Check that the file of an option, if there is one, ends in one of the suffixes.

    Raises:
        UsageError: it does not.
    """
    if path and full_suffix(str(path)) not in suffixes:
        raise UsageError(f"{option} {path}: expected a name ending in {', '.join(suffixes)}")


def require_directory_name(output: str, suffixes: Collection[str]) -> None:
    """Check that a path without one of the suffixes of files is meant as a directory.

    Raises:
        UsageError: it ends in the suffix of another image format, and is no directory.
    """
    suffix = full_suffix(output)
    is_directory = output.endswith(("/", os.sep)) or (not is_url(output) and os.path.isdir(output))
    if suffix in {*SUFFIXES, *HEIF_SUFFIXES, *UNSUPPORTED_SUFFIXES} and not is_directory:
        raise UsageError(
            f"-o {output}: cannot write {suffix} files: expected a name ending in {', '.join(suffixes)}",
            f"a directory of this name is {output}/",
        )


def _require_one_kind(output: str | None, kinds: Sequence[str]) -> None:
    if len(kinds) > 1:
        raise UsageError(f"-o {output}: expected one kind of output, got {', '.join(kinds)}")


def parse_destination(
    output: str | None, artifact_kinds: Sequence[str], image_format: str | None = None
) -> Destination:
    """Parse `-o`: `-` is standard output, a device or a name with a known suffix is a file, others are directories.

    Args:
        output: path or URL, `-`, or None for the default.
        artifact_kinds: values of `--save`; if empty, the kind follows from the suffix, or is `figure`.
        image_format: a key of `FORMATS`, or None to use the suffix, or `png`.

    Raises:
        UsageError: the suffix does not match the kind or image format, a file is given for several kinds,
            an existing file has no known suffix, the suffix is that of another image format, the URL is read-only, or
            it requires a package that is not installed.
    """
    kinds = tuple(dict.fromkeys(artifact_kinds))
    if image_format in VECTOR_FORMATS and (pixels := [kind for kind in kinds if kind in ("overlay", "heatmap")]):
        raise UsageError(f"--image-format {image_format}: {pixels[0]} has pixels only", VECTOR_HINT)
    if output == "-" or output in STANDARD_OUTPUT:
        _require_one_kind(output, kinds)
        return Destination(kinds or ("figure",), stdout=True, image_format=image_format or "png")
    if output is not None and protocol_of(output) in HTTP_PROTOCOLS:
        raise UsageError(f"-o {output}: cannot write to a web address", "give a path or a URL such as s3://bucket/maps")
    path = as_path(output) if output is not None else None
    suffix = "" if path is None or output is None or output.endswith(("/", os.sep)) else full_suffix(str(path))
    if path is None or suffix not in _all_suffixes() or (not is_url(path) and path.is_dir()):
        is_device = path is not None and is_special(path)
        if is_device:
            _require_one_kind(output, kinds)
        elif path is not None and not is_url(path) and path.is_file():
            raise UsageError(f"-o {output}: expected a directory, or a file ending in {', '.join(_all_suffixes())}")
        elif output is not None and suffix not in _all_suffixes():
            require_directory_name(output, _all_suffixes())
        file, directory = (path, None) if is_device else (None, path)
        return Destination(kinds or ("figure",), directory, file, image_format=image_format or "png")
    kinds = kinds or (artifact_for_suffix(path),)
    if image_format and suffix in FIGURE_SUFFIXES and format_for_suffix(path) != image_format:
        raise UsageError(f"-o {output}: --image-format {image_format} expects another suffix")
    if len(kinds) > 1 or suffix not in ARTIFACT_SUFFIXES[kinds[0]]:
        raise UsageError(
            f"-o {output}: expected a file for {', '.join(kinds)}, got suffix {suffix}",
            VECTOR_HINT if format_for_suffix(path) in VECTOR_FORMATS else "give a directory to save several kinds",
        )
    return Destination(kinds, file=path, image_format=format_for_suffix(path))
