"""Volumes from series of DICOM files: the slices are sorted by their place, and checked to be one regular volume."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.damage import input_errors
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.dicom_slices import Slice, decode_slices, open_dicom, slices_of
from gradcam_cli.images.nifti import header_of_affine
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space
from gradcam_cli.images.volume_values import check_size, to_decoded

BYTES_PER_VOXEL = 8
"""Limit of the size of all files, per voxel of the limit of the volume."""
UNEVEN = 0.1
"""Largest deviation of the step between two slices, as a part of it; positions are rounded in many files."""
TOLERANCE = 1e-3
"""Largest difference of the spacings in millimeters, and of the unit vectors, of the slices of a series."""
LPS_TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
"""DICOM's axes point left, to the back and up; those of NIfTI right, to the front and up."""


def read_dicom_series(files: Sequence[tuple[str, Callable[[], bytes]]], options: ReadOptions) -> Decoded:
    """Read the volume of a series of DICOM files, or of one file with several frames.

    Slices are sorted by their positions along the normal of their plane. Values are scaled by the rescale slope and
    intercept of each slice. People see them through the first window of values in the files, unless `options` has one.
    Where low values are bright (MONOCHROME1), people see them so, and values that are scaled to 0..255 are inverted.

    Args:
        files: name of each file, and what returns its bytes; in any order. Each is read once.
        options: the limit of the size, and the window of values or the value of white.

    Returns:
        The volume (D, H, W, 1), its spacing in millimeters, and a NIfTI header of the same space.

    Raises:
        InputError: a file is damaged, has no gray values, or its compression requires other packages; the files are of
            several series, or of slices of different sizes or directions; slices are missing, unevenly spaced or at the
            same position; the volume is too large; or pydicom is missing.
    """
    datasets = _read_all(files, options.max_pixels)
    slices = [slice_ for _, _, of_file in datasets for slice_ in of_file]
    order, step = _sort(slices)
    rows, columns = slices[0].size
    values = np.empty((len(slices), rows, columns, 1), np.float32)
    places = iter(np.argsort(order))
    for name, dataset, of_file in datasets:
        for slice_, stored in zip(of_file, decode_slices(name, dataset, of_file), strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                values[next(places), ..., 0] = stored * np.float64(slice_.slope) + slice_.intercept
        dataset.clear()
    first = slices[order[0]]
    window = next((slices[i].window for i in order if slices[i].window), None)
    return to_decoded(values, _space(first, len(slices), step), options, window, first.inverted)


def _read_all(files: Sequence[tuple[str, Callable[[], bytes]]], max_pixels: int) -> list[tuple[str, Any, list[Slice]]]:
    """Return name, data set and slices of each file; the sizes are checked while files are read."""
    datasets: list[tuple[str, Any, list[Slice]]] = []
    total = voxels = 0
    for name, read in files:
        data = read()
        total += len(data)
        if total > BYTES_PER_VOXEL * max_pixels + (1 << 24):
            raise InputError(
                f"too large: expected at most {BYTES_PER_VOXEL * max_pixels:,} bytes, got more",
                "raise --max-pixels if you trust the files",
            )
        dataset = open_dicom(name, data)
        slices = slices_of(name, dataset)
        voxels += len(slices)
        check_size((voxels, *slices[0].size, 1), max_pixels)
        if datasets:
            _check_like(slices[0], datasets[0][2][0])
        datasets.append((name, dataset, slices))
    if not datasets:
        raise InputError("expected at least one DICOM file, got none")
    return datasets


def _check_like(slice_: Slice, first: Slice) -> None:
    """Check that a slice belongs to the volume of another one."""
    for what, same in (
        ("series", slice_.series == first.series),
        ("size", slice_.size == first.size),
        ("spacing", _same(np.array(slice_.spacing[1:]), np.array(first.spacing[1:]))),
        ("orientation", _same(slice_.directions, first.directions)),
        ("photometric interpretation", slice_.inverted == first.inverted),
    ):
        if not same:
            raise InputError(f"expected one series of equal slices: {slice_.name} has another {what} than {first.name}")


def _same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() <= TOLERANCE)


def _sort(slices: Sequence[Slice]) -> tuple[list[int], np.ndarray | None]:
    """Return the order of slices along their normal, and the vector from one to the next; None without positions.

    Raises:
        InputError: several files have no positions, two slices have the same one, or the steps are not equal.
    """
    first = slices[0]
    for slice_ in slices:
        if slice_ is not first:
            _check_like(slice_, first)
    if first.directions is None or any(slice_.position is None for slice_ in slices):
        if len({slice_.name for slice_ in slices}) > 1:
            raise InputError("the order of the slices is unknown: they have no position or no orientation")
        return list(range(len(slices))), None
    normal = np.cross(*first.directions)
    places = np.array([slice_.position for slice_ in slices])
    order = [int(i) for i in np.argsort(places @ normal, kind="stable")]
    if len(slices) == 1:
        return order, normal * (first.spacing[0] or 1.0)
    steps = np.diff(places[order], axis=0)
    step = np.median(steps, axis=0)
    for i, (one, other) in enumerate(itertools.pairwise(order)):
        _check_step(slices[one].name, slices[other].name, float(steps[i] @ normal), steps[i] - step, step)
    return order, (places[order[-1]] - places[order[0]]) / (len(slices) - 1)


def _check_step(one: str, other: str, length: float, deviation: np.ndarray, step: np.ndarray) -> None:
    expected = float(np.linalg.norm(step))
    between = f"between {one} and {other}"
    if length <= UNEVEN * expected or length <= 1e-4:
        raise InputError(f"expected one slice at each position, got two: {one} and {other}")
    if np.linalg.norm(deviation) <= UNEVEN * expected:
        return
    if length > 1.5 * expected:
        raise InputError(f"slices are missing {between}: expected a step of {expected:g} mm, got {length:g} mm")
    raise InputError(f"slices are unevenly spaced {between}: expected a step of {expected:g} mm, got {length:g} mm")


def _space(first: Slice, count: int, step: np.ndarray | None) -> Space:
    """Return the space of a volume from its first slice."""
    _, rows, columns = first.spacing
    height, width = first.size
    if step is None or first.directions is None or first.position is None or not rows or not columns:
        spacing = first.spacing if step is None else (float(np.linalg.norm(step)), rows, columns)
        return Space("volume", spacing if any(spacing) else ())
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * columns
    affine[:3, 1] = first.directions[1] * rows
    affine[:3, 2] = step
    affine[:3, 3] = first.position
    spacing = (float(np.linalg.norm(step)), rows, columns)
    with input_errors("DICOM file"):
        header = header_of_affine((width, height, count), LPS_TO_RAS @ affine)
    return Space("volume", spacing, header, (2, 1, 0))
