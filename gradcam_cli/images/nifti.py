"""Volumes from NIfTI files, and maps written in the space of their volume.

nibabel reads and writes the headers. The affine of a header, its codes, units and zooms are never computed again: a map
is written with the header of its volume, of which only the shape, the type and the scale of the values change.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.axes import LETTERS, arrange
from gradcam_cli.images.bands import VALUES_PER_PIXEL
from gradcam_cli.images.damage import input_errors, missing_package
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space
from gradcam_cli.images.volume_values import check_size, to_decoded, to_float32

logging.getLogger("nibabel.global").setLevel(logging.CRITICAL + 1)  # what matters becomes an InputError

GZIP_START = b"\x1f\x8b"
HEADER_BYTES = {348: 1, 540: 2}
"""Size of the header, which is its first number: the version of the format."""
AXES = "WHD"
"""The axes (i, j, k) of a NIfTI file: columns, rows and slices."""
MAX_OFFSET = 1 << 24
"""Largest size of the extensions before the values."""
MAX_ITEM_BYTES = 8
MAX_EXPANSION = 1032
"""How many times its size a file compressed by gzip can have."""
MILLIMETERS = {"meter": 1e3, "mm": 1.0, "micron": 1e-3, "unknown": 1.0}
SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
LARGEST_NIFTI1_SIDE = 32_767
COMPRESSION = 1
"""Level of gzip; float values become hardly smaller at higher ones, which take many times as long."""


class _Layout(NamedTuple):
    """The values in a NIfTI file."""

    header: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float

    @property
    def end(self) -> int:
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


def read_nifti(data: bytes, options: ReadOptions) -> Decoded:
    """Read a volume from a NIfTI-1 or NIfTI-2 file, compressed by gzip or not.

    The axes (i, j, k) of the file are read as columns, rows and slices, so that the array is (k, j, i), and a fourth
    axis as channels; `options.axes` gives another order.

    Args:
        data: the bytes of the file.
        options: the limit of its size, its axes, and the window of values or the value of white.

    Returns:
        The volume (D, H, W, k), scaled as its header says, its spacing in millimeters, and its header.

    Raises:
        InputError: the file is damaged, truncated, too large, has no numbers or infinite ones, or nibabel is missing.
    """
    with input_errors("NIfTI file"):
        file = _Bytes(data)
        layout = _layout(file)
        axes, shape = _axes(layout.shape, options.axes)
        _check_size(axes, shape, options.max_pixels)
        content = file.read_to(layout.end)
        stored = np.frombuffer(content, layout.dtype, math.prod(shape), layout.offset).reshape(shape, order="F")
        arranged, kind = arrange(stored, axes, 3)
        values = to_float32(arranged, layout.slope, layout.intercept)
        del content, stored, arranged
        letters = [letter for letter in LETTERS[:-1] if letter in axes]
        stored_axes = tuple(axes.index(letter) for letter in letters)
        zooms = _zooms(layout.header)
        spacing = tuple(zooms[axis] if axis < len(zooms) else 0.0 for axis in stored_axes)
        space = Space(kind, spacing if any(spacing) else (), layout.header.binaryblock, stored_axes)
        return to_decoded(values, space, options)


def write_nifti(values: np.ndarray, space: Space, compressed: bool = True) -> bytes:
    """Return a NIfTI file of a map in the space of its volume.

    Args:
        values: (D, H, W) float32.
        space: of the volume; without a header, one is made from its spacing.
        compressed: whether to compress the file by gzip (`.nii.gz`); the bytes are always the same.

    Raises:
        InputError: nibabel is missing.
    """
    axes = space.stored_axes or ((0, 1, 2) if space.nifti_header else (2, 1, 0))
    stored = values.transpose(np.argsort(axes))
    shape = [1] * (max(axes) + 1)
    for axis, length in zip(sorted(axes), stored.shape, strict=True):
        shape[axis] = length
    header = _parse_header(space.nifti_header) if space.nifti_header else _header_of_spacing(shape, space.spacing)
    header.set_data_shape(shape)
    header.set_data_dtype(np.float32)
    header.set_slope_inter(1, 0)
    header["magic"] = header.single_magic
    header["vox_offset"] = header.single_vox_offset
    header["cal_min"] = header["cal_max"] = header["intent_code"] = 0
    file = io.BytesIO()
    with gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) if compressed else contextlib.nullcontext(file) as target:
        target.write(header.binaryblock.ljust(header.single_vox_offset, b"\0"))
        for part in stored.T:  # the first axis of the file is the fastest
            target.write(part.astype(np.dtype(np.float32).newbyteorder(header.endianness)).tobytes())
    return file.getvalue()


class _Bytes:
    """The content of a file, decompressed no further than it is read."""

    def __init__(self, data: bytes) -> None:
        self._compressed = data.startswith(GZIP_START)
        self._data = data
        self._file: Any = gzip.GzipFile(fileobj=io.BytesIO(data)) if self._compressed else io.BytesIO(data)

    def read_to(self, end: int) -> bytes | bytearray:
        """Return the first `end` bytes.

        Raises:
            InputError: there are fewer.
        """
        most = len(self._data) * (MAX_EXPANSION if self._compressed else 1)
        if most < end:
            raise InputError(f"damaged NIfTI file: expected {end:,} bytes, got at most {most:,}")
        if not self._compressed:
            return self._data
        content, length = bytearray(end), 0
        self._file.seek(0)
        with memoryview(content) as view:
            while length < end and (count := self._file.readinto(view[length:])):
                length += count
            self._file.read(1)  # at the end of the file, the checksum is compared
        if length < end:
            raise InputError(f"damaged NIfTI file: expected {end:,} bytes, got {length:,}")
        return content


def _layout(file: _Bytes) -> _Layout:
    header = _parse_header(file.read_to(352))
    if type(header).sizeof_hdr == 540:
        header = _parse_header(file.read_to(540))
    if header["magic"].item()[:2] != b"n+":
        pair = header["magic"].item()[:2] == b"ni"
        raise InputError("expected a NIfTI file with its values, got a header alone" if pair else "not a NIfTI file")
    slope, intercept = header.get_slope_inter()
    dtype = header.get_data_dtype()
    if dtype.kind not in "biuf" or dtype.itemsize > MAX_ITEM_BYTES:
        raise InputError(f"expected a volume of real numbers, got {header.get_value_label('datatype')}")
    shape = tuple(int(side) for side in header.get_data_shape())
    offset = int(header.get_data_offset())
    if not type(header).sizeof_hdr <= offset <= MAX_OFFSET or not shape or min(shape) < 1:
        raise InputError(f"damaged NIfTI file: values of shape {shape} from byte {offset}")
    return _Layout(header, shape, dtype, offset, 1.0 if slope is None else slope, intercept or 0.0)


def _parse_header(start: bytes | bytearray) -> Any:
    """Return nibabel's header, without its extensions, which may contain other formats."""
    try:
        import nibabel
    except ImportError as error:
        raise missing_package("a NIfTI file", "nibabel", "nifti") from error
    sizes = {int.from_bytes(start[:4], order) for order in ("little", "big")}
    if 348 in sizes:
        return nibabel.Nifti1Header(start[:348], check=False)
    if 540 in sizes:
        return nibabel.Nifti2Header(start[:540].ljust(540, b"\0"), check=False)
    raise InputError("not a NIfTI file")


def _axes(shape: tuple[int, ...], given: str | None) -> tuple[str, tuple[int, ...]]:
    """Return the axes of the values, and their shape without axes of length 1 behind the third."""
    if given and len(given) == len(shape):
        return given, shape
    shape = (*shape, 1, 1)[: max(3, len(shape))]
    shape = (*shape[:3], *(side for side in shape[3:] if side > 1))
    return given or (AXES if len(shape) == 3 else AXES + "C"), shape


def _check_size(axes: str, shape: tuple[int, ...], max_pixels: int) -> None:
    if math.prod(shape) > VALUES_PER_PIXEL * max_pixels:  # NumPy has no arrays of any size, even if they take no memory
        check_size((math.prod(shape), 1, 1, 1), max_pixels)
    check_size(arrange(np.broadcast_to(np.zeros((), np.uint8), shape), axes, 3)[0].shape, max_pixels)


def _zooms(header: Any) -> tuple[float, ...]:
    """Return the spacing along the axes of the file: millimeters, and seconds along a fourth axis.

    Raises:
        InputError: a spacing is negative or not finite.
    """
    length, time = header.get_xyzt_units()
    zooms = [float(zoom) for zoom in header.get_zooms()]
    if not all(math.isfinite(zoom) and zoom >= 0 for zoom in zooms):
        raise InputError(f"expected a positive spacing, got {zooms}")
    units = [MILLIMETERS.get(length, 1.0)] * 3 + [SECONDS.get(time, 1.0)]
    return tuple(zoom * unit for zoom, unit in zip(zooms, units, strict=False))


def header_of_affine(shape: Sequence[int], affine: np.ndarray) -> bytes | None:
    """Return the NIfTI-1 header of a volume, or None if nibabel is missing.

    Args:
        shape: columns, rows and slices.
        affine: (4, 4), from their indices to millimeters: right, front, up.
    """
    try:
        import nibabel
    except ImportError:
        return None
    header = nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header.set_xyzt_units("mm", "unknown")
    block: bytes = header.binaryblock
    return block


def _header_of_spacing(shape: Sequence[int], spacing: Sequence[float]) -> Any:
    import nibabel

    large = max(shape) > LARGEST_NIFTI1_SIDE
    header = nibabel.Nifti2Header() if large else nibabel.Nifti1Header()
    header.set_data_shape(shape)
    header.set_zooms([zoom or 1.0 for zoom in spacing[::-1]] or [1.0] * len(shape))
    header.set_xyzt_units("mm" if any(spacing) else "unknown", "unknown")
    return header
