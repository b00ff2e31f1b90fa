"""The inputs in a folder, for each kind of model: its files, or the whole folder as a volume or a film."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from gradcam_cli.images import heif
from gradcam_cli.images.source import (
    ARRAY_SUFFIX,
    FILM_SUFFIXES,
    SIGNAL_SUFFIXES,
    SLICE_SUFFIX,
    SUFFIXES,
    VOLUME_SUFFIXES,
)
from gradcam_cli.storage.paths import full_suffix, is_url, join_path
from gradcam_cli.storage.regular_files import open_regular

ANIMATED_SUFFIX = ".webp"
"""Suffix of images, and of films; the header of a file shows which it is."""
_ANIMATION_FLAG = 2
"""Bit of the first byte behind `VP8X` and its length, of a WebP file with several frames."""


class FolderInputs(NamedTuple):
    """The inputs in a folder; its subfolders are not searched.

    Attributes:
        files: names of the files that are inputs.
        series: names of the files that are one input together; empty if there is none.
        left_out: names of all other files.
    """

    files: Sequence[str]
    series: Sequence[str]
    left_out: Sequence[str]


def suffixes_of(rank: int, *, arrays: bool = False) -> frozenset[str]:
    """Return the suffixes of the files in a directory that are inputs of a model.

    Args:
        rank: number of spatial axes of the model input.
        arrays: whether `.npy` files are images.
    """
    if rank == 1:
        return SIGNAL_SUFFIXES
    if rank == 3:
        return VOLUME_SUFFIXES | FILM_SUFFIXES | {ARRAY_SUFFIX, ".npz"}
    return frozenset({*SUFFIXES, *heif.suffixes(), *([ARRAY_SUFFIX] if arrays else ())})


def inputs_of_folder(
    folder: str,
    names: Sequence[str],
    suffixes: Collection[str],
    rank: int,
    has_frames_below: Callable[[], bool] = lambda: False,
) -> FolderInputs:
    """Return the inputs in a folder.

    For a model of volumes and films, the DICOM files of a folder are one volume. Its images are the frames of one film,
    unless the folder has other inputs, or images in its subfolders.

    Args:
        folder: its path or URL.
        names: of its files, in natural order.
        suffixes: from `suffixes_of`.
        rank: number of spatial axes of the model input.
        has_frames_below: whether its subfolders have images.
    """
    suffix_of = {name: full_suffix(name) for name in names}
    files = [name for name in names if suffix_of[name] in suffixes]
    series: list[str] = []
    if rank == 3:
        images = [name for name in names if suffix_of[name] in FRAME_SUFFIXES]
        animated = {name for name in images if _is_animated(folder, name)}
        files = [name for name in names if suffix_of[name] in suffixes or name in animated]
        series = [name for name in names if suffix_of[name] == SLICE_SUFFIX]
        frames = [name for name in images if name not in animated]
        series = series or ([] if files or not frames or has_frames_below() else frames)
    taken = {*files, *series}
    return FolderInputs(files, series, [name for name in names if name not in taken])


FRAME_SUFFIXES = SUFFIXES - FILM_SUFFIXES
"""Suffixes of the frames of a film in a folder."""


def _is_animated(folder: str, name: str) -> bool:
    if full_suffix(name) != ANIMATED_SUFFIX or is_url(folder):
        return False
    try:
        with open_regular(join_path(folder, name)) as file:
            start = file.read(21)
    except OSError:  # reading it raises the error
        return False
    return start[12:16] == b"VP8X" and len(start) == 21 and bool(start[20] & _ANIMATION_FLAG)
