"""Slices of DICOM files: their place in the body, their size and the scale of their values.

A file holds one slice, or several as frames. The attributes of frames are in nested sequences: those of each frame,
and those that all share.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.damage import input_errors, missing_package, naming
from gradcam_cli.images.volume_values import Window

DEFLATED = b"1.2.840.10008.1.2.1.99"
"""Transfer syntax of a file that is compressed as a whole; pydicom decompresses it without a limit."""
MAX_FRAMES = 65_536
"""Frames of a file; each has some attributes of its own."""
GRAY = ("MONOCHROME1", "MONOCHROME2")
MAX_EXPANSION = 2
"""Limit of the size of compressed values, as a multiple of that of their slices."""
MAX_ENCODING_BYTES = 1 << 12
"""Allowance for the headers of a compressed frame."""


class Slice(NamedTuple):
    """A slice of a volume.

    Attributes:
        name: of its file.
        series: identifier of its series.
        size: (rows, columns).
        position: of the center of its first voxel (3,) in millimeters: left, posterior, superior; or None.
        directions: unit vectors (2, 3) along a row and along a column; or None.
        spacing: millimeters between (slices, rows, columns), 0 where it is unknown.
        slope, intercept: of the units of its values.
        window: of its values, for people, or None.
        inverted: whether low values are bright.
    """

    name: str
    series: str
    size: tuple[int, int]
    position: np.ndarray | None
    directions: np.ndarray | None
    spacing: tuple[float, float, float]
    slope: float
    intercept: float
    window: Window | None
    inverted: bool


def open_dicom(name: str, data: bytes) -> Any:
    """Return the data set of a DICOM file.

    Raises:
        InputError: it is no DICOM file, is damaged, or has no gray values; or pydicom is missing.
    """
    try:
        import pydicom
    except ImportError as error:
        raise missing_package("a DICOM file", "pydicom", "dicom") from error
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # what matters becomes an InputError
    with naming(name), input_errors("DICOM file"):
        if data[128:132] != b"DICM":
            raise InputError("not a DICOM file")
        if DEFLATED in data:
            raise InputError("deflated DICOM files are not supported", "dcmconv +te converts them")
        dataset = pydicom.dcmread(io.BytesIO(data))
        photometric = _required(dataset, "PhotometricInterpretation")
        if photometric not in GRAY or dataset.get("SamplesPerPixel", 1) != 1:
            raise InputError(f"expected gray values, got {photometric}")
        return dataset


def slices_of(name: str, dataset: Any) -> list[Slice]:
    """Return the slices of a file, in their order.

    Raises:
        InputError: an attribute is missing or has no valid value.
    """
    with naming(name), input_errors("DICOM file"):
        count = int(dataset.get("NumberOfFrames") or 1)
        if not 1 <= count <= MAX_FRAMES:
            raise InputError(f"expected 1 to {MAX_FRAMES:,} frames, got {count:,}")
        frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        if frames and len(frames) != count:
            raise InputError(f"expected the attributes of {count} frames, got those of {len(frames)}")
        shared = list(dataset.get("SharedFunctionalGroupsSequence") or [])[:1]
        if not frames:
            return [_slice(name, dataset, shared, one=count == 1)] * count
        return [_slice(name, dataset, [frame, *shared], one=count == 1) for frame in frames]


def decode_slices(name: str, dataset: Any, slices: list[Slice]) -> Iterator[np.ndarray]:
    """Yield the stored values (rows, columns) of the slices of a file.

    Raises:
        InputError: the values are damaged, or their compression requires other packages.
    """
    from pydicom.pixels import get_decoder, iter_pixels

    with naming(name), input_errors("DICOM file"):
        syntax = _required(dataset.file_meta, "TransferSyntaxUID")
        if syntax.is_compressed:
            if not get_decoder(syntax).is_available:
                raise InputError(
                    f"the compression {syntax.name} requires other packages",
                    "pip install pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg",
                )
            _check_compressed_size(dataset, slices)
        count = 0
        for values in iter_pixels(dataset, raw=True):
            if count == len(slices) or values.shape != slices[count].size:
                raise InputError(f"expected {len(slices)} slices of {slices[0].size}, got another of {values.shape}")
            count += 1
            yield values
        if count < len(slices):
            raise InputError(f"expected {len(slices)} slices, got {count}")


def _check_compressed_size(dataset: Any, slices: list[Slice]) -> None:
    """Limit the work of decoders, some of which decode all that a file holds before they compare it."""
    rows, columns = slices[0].size
    plain = rows * columns * math.ceil(int(_required(dataset, "BitsAllocated")) / 8)
    limit = len(slices) * (MAX_EXPANSION * plain + MAX_ENCODING_BYTES)
    size = len(_required(dataset, "PixelData"))
    if size > limit:
        raise InputError(f"expected at most {limit:,} bytes of compressed values, got {size:,}")


def _slice(name: str, dataset: Any, groups: list[Any], one: bool) -> Slice:
    of_file = dataset if one else {}  # that of several frames is the position of the first
    position = _vector(_find(of_file, groups, "PlanePositionSequence", "ImagePositionPatient"), 3)
    directions = _vector(_find(dataset, groups, "PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    measures = [_find(dataset, groups, "PixelMeasuresSequence", key) for key in ("PixelSpacing", *_THICKNESS)]
    in_plane = _vector(measures[0], 2)
    rows, columns = (0.0, 0.0) if in_plane is None else in_plane
    between = next((float(measure) for measure in measures[1:] if measure), 0.0)
    if not all(math.isfinite(step) and step >= 0 for step in (rows, columns, abs(between))):
        raise InputError(f"expected a positive spacing, got {rows:g} and {columns:g}")
    slope = _find(dataset, groups, "PixelValueTransformationSequence", "RescaleSlope")
    intercept = _find(dataset, groups, "PixelValueTransformationSequence", "RescaleIntercept")
    return Slice(
        name,
        str(dataset.get("SeriesInstanceUID") or ""),
        (int(_required(dataset, "Rows")), int(_required(dataset, "Columns"))),
        position,
        None if directions is None else _unit_vectors(directions.reshape(2, 3)),
        (abs(between), float(rows), float(columns)),
        1.0 if slope is None else float(slope),
        0.0 if intercept is None else float(intercept),
        _window(dataset, groups),
        dataset.PhotometricInterpretation == "MONOCHROME1",
    )


_THICKNESS = ("SpacingBetweenSlices", "SliceThickness")
"""Distances of slices; the first that is known is used if the positions do not say it."""


def _required(dataset: Any, keyword: str) -> Any:
    value = dataset.get(keyword)
    if value is None or value == "":
        raise InputError(f"the attribute {keyword} is missing")
    return value


def _find(dataset: Any, groups: list[Any], sequence: str, keyword: str) -> Any:
    """Return an attribute of a frame, of all frames, or of the file; None if it is missing."""
    for group in groups:
        for item in list(group.get(sequence) or [])[:1]:
            if item.get(keyword) is not None:
                return item.get(keyword)
    return dataset.get(keyword)


def _vector(value: Any, count: int) -> np.ndarray | None:
    if value is None:
        return None
    numbers = np.array([float(number) for number in value])
    if numbers.shape != (count,) or not np.isfinite(numbers).all():
        raise InputError(f"expected {count} finite numbers, got {str(value)[:80]}")
    return numbers


def _unit_vectors(directions: np.ndarray) -> np.ndarray:
    if abs(directions @ directions.T - np.eye(2)).max() > 1e-3:
        raise InputError(f"expected perpendicular unit vectors as ImageOrientationPatient, got {directions.tolist()}")
    return directions


def _window(dataset: Any, groups: list[Any]) -> Window | None:
    """Return the first window of values: DICOM's center lies between two values, and its width counts both ends."""
    numbers = [_find(dataset, groups, "FrameVOILUTSequence", key) for key in ("WindowCenter", "WindowWidth")]
    first = [number[0] if number and not isinstance(number, str | float | int) else number for number in numbers]
    if None in first:
        return None
    center, width = (float(number) for number in first)
    return (center - 0.5, width - 1) if math.isfinite(center) and 1 < width < math.inf else None
