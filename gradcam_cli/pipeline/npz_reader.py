"""Reading of arrays in `.npz` files, with the sizes that the file declares checked before anything is decompressed."""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from gradcam_cli.errors import GradcamError, InputError
from gradcam_cli.storage.files import open_readable

MAX_EXPANSION, MIN_ARRAY_BYTES = 20, 1 << 26
"""Arrays may have this multiple of the file's size, and always this number of bytes."""
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
KINDS = {"f": "floating-point numbers", "U": "text"}
END_BYTES, MAX_DIRECTORY_BYTES = 22, 1 << 20
"""Size of the record that ends an archive without comment, and limit of the directory before it."""
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class NpzReader:
    """The arrays of an open `.npz` file.

    Args:
        archive: the file.
        size: its size in bytes.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._max_bytes = max(MAX_EXPANSION * size, MIN_ARRAY_BYTES)

    def read(self, name: str, kind: str, ndim: int, max_items: int) -> np.ndarray:
        """Return an array.

        Args:
            name: name of the array.
            kind: kind of its dtype, a key of `KINDS`.
            ndim: its number of dimensions.
            max_items: limit of its number of elements; for text, of its characters.

        Raises:
            ValueError: it is missing, damaged, of another kind or shape, or too large.
        """
        try:
            entry = self._archive.getinfo(f"{name}.npy")
        except KeyError:
            raise ValueError(f"{name} not found in it") from None
        if entry.compress_type not in COMPRESSIONS:
            raise ValueError(f"{name}: expected a stored or deflated array")
        with self._archive.open(entry) as file:
            shape, fortran_order, dtype = _read_header(name, file, kind, ndim)
            characters = dtype.itemsize // 4 if dtype.kind == "U" else 1
            count, size = math.prod(shape) * characters, math.prod(shape) * dtype.itemsize
            if count > max_items or size > self._max_bytes:
                raise ValueError(f"{name} is too large: {count:,} elements of {size:,} bytes")
            data = file.read(size)
        if len(data) != size:
            raise ValueError(f"{name}: expected {size:,} bytes, got {len(data):,}")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_header(name: str, file: IO[bytes], kind: str, ndim: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{name}: expected version 1.0 or 2.0 of NumPy's format, got {version[0]}.{version[1]}")
    shape, fortran_order, dtype = _HEADERS[version](file)
    if dtype.kind != kind or len(shape) != ndim or any(side < 0 for side in shape):
        raise ValueError(f"{name}: expected {ndim} dimensions of {KINDS[kind]}, got {len(shape)} of {dtype}")
    return shape, fortran_order, dtype


def _check_directory(file: BinaryIO, size: int) -> None:
    """Check the size of the archive's directory, which `zipfile` reads into memory."""
    file.seek(max(size - END_BYTES, 0))
    end = file.read(END_BYTES)
    if len(end) < END_BYTES or not end.startswith(b"PK\5\6"):
        raise ValueError("not a complete .npz file")
    if int.from_bytes(end[12:16], "little") > MAX_DIRECTORY_BYTES:
        raise ValueError(f"its directory is larger than {MAX_DIRECTORY_BYTES:,} bytes")


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[NpzReader]:
    """Open an `.npz` file that gradcam wrote; errors within the block are raised as InputError.

    Raises:
        InputError: the file cannot be read, is damaged, or was not written by gradcam.
    """
    try:
        with open_readable(path) as file:
            size = file.seek(0, 2)
            _check_directory(file, size)
            with zipfile.ZipFile(file) as archive:
                yield NpzReader(archive, size)
    except GradcamError:
        raise
    except Exception as error:  # damaged files make zip, zlib and NumPy raise almost any exception
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(f"cannot read {path}: {reason}", "expected a file written by --save npz") from error
