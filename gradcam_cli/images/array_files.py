"""Arrays in `.npy` and `.npz` files: signals, images of bands, volumes and films."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.axes import INPUT_OF_RANK, arrange, arranged_shape
from gradcam_cli.images.bands import VALUES_PER_PIXEL, check_size
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.storage.arrays import ArrayHeader, open_archive, read_array, read_array_header

NPY_START = b"\x93NUMPY"
NPZ_STARTS = (b"PK\3\4", b"PK\5\6")
"""First bytes of zip archives, and of an empty one."""
START_BYTES = len(NPY_START)
MAX_VALUE_BYTES, MAX_ARCHIVE_BYTES = 8, 1 << 24
"""Limit of an archive: the largest number of values, in the widest type, and its headers."""


def is_array(start: bytes) -> bool:
    """Return whether a file with these first bytes is a `.npy` or `.npz` file."""
    return start.startswith((NPY_START, *NPZ_STARTS))


def read_shape(file: BinaryIO, options: ReadOptions) -> tuple[int, ...]:
    """Return the shape (spatial axes..., k) of the array in a file, from its header.

    Args:
        file: open at its beginning.
        options: the rank, the order of the axes and the size limit.

    Raises:
        InputError: the array has other axes, no numbers or no elements, or is too large; an archive has not one array.
        ValueError: the header of a `.npy` file is damaged.
    """
    with _open_array(file, options) as (header, _):
        return _check_header(header, options)


def read_arranged(file: BinaryIO, options: ReadOptions) -> tuple[np.ndarray, str]:
    """Return the array (spatial axes..., k) in a file, and its kind, as `arrange` does.

    Args:
        file: open at its beginning.
        options: the rank, the order of the axes and the size limit.

    Raises:
        InputError, ValueError: as `read_shape`, or the file is damaged.
    """
    with _open_array(file, options) as (header, read):
        _check_header(header, options)
        return arrange(read(), options.axes, options.rank)


@contextlib.contextmanager
def _open_array(file: BinaryIO, options: ReadOptions) -> Iterator[tuple[ArrayHeader, Callable[[], np.ndarray]]]:
    """Open the only array of a file: its header, and a function that returns it."""
    is_plain = file.read(START_BYTES) == NPY_START
    file.seek(0)
    if is_plain:
        yield _plain_header(file), lambda: read_array(file)
        return
    max_bytes = MAX_VALUE_BYTES * VALUES_PER_PIXEL * options.max_pixels + MAX_ARCHIVE_BYTES
    with open_archive(file, "the archive", max_bytes) as arrays:
        if not arrays:
            raise InputError(f"not {INPUT_OF_RANK[options.rank]}: an archive without arrays")
        if len(arrays) > 1:
            names = ", ".join(arrays)
            raise InputError(f"expected one array in the .npz file, got {names}", "save it alone: np.savez(FILE, x)")
        (name,) = arrays
        yield arrays.header(name), lambda: arrays[name]


def _plain_header(file: BinaryIO) -> ArrayHeader:
    """Return the header of a `.npy` file, which is left at its beginning."""
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    header = read_array_header(file, num_bytes)
    file.seek(0)
    return header


def _check_header(header: ArrayHeader, options: ReadOptions) -> tuple[int, ...]:
    shape, dtype = header
    if dtype.kind not in "biuf" or 0 in shape:
        raise InputError(f"expected an array of numbers, got {shape} of {dtype}")
    return check_size(arranged_shape(shape, options.axes, options.rank), options.max_pixels)
