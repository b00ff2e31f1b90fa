"""Reading of `.npz` and `.npy` files that may be damaged or malicious: sizes are checked before any array is read."""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

import numpy as np

from gradcam_cli.errors import GradcamError, InputError
from gradcam_cli.storage.files import open_readable

END_BYTES, MAX_DIRECTORY_BYTES = 98, 1 << 23
"""Size of the records that end a zip archive, and limit of the directory before them."""
MAX_HEADER_CHARACTERS = 1_000
"""Limit of an array's header; that of a four-dimensional array has about 100."""
HEADER_BYTES = 8_192
"""Bytes that are read before the header is checked."""
MIN_BYTES, MAX_EXPANSION = 1 << 26, 20
"""Default limit of the decompressed size."""
KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "U": "str", "S": "bytes"}
"""Kinds of arrays that are read; object arrays (pickles), structured, complex and date arrays are refused."""


class ArrayHeader(NamedTuple):
    """Shape and type of an array in a file.

    Attributes:
        shape: shape of the array.
        dtype: type of its elements.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def nbytes(self) -> int:
        """Size of the elements in bytes; an empty string counts as one byte."""
        return math.prod(self.shape) * max(self.dtype.itemsize, 1)


class ArrayFile(Mapping[str, np.ndarray]):
    """The arrays of an open `.npz` file, by name. Each access reads the array.

    Args:
        archive: the open file.
        path: its path, for messages.
        max_bytes: limit of an array's size.
    """

    def __init__(self, archive: zipfile.ZipFile, path: object, max_bytes: int) -> None:
        self._archive, self._path, self._max_bytes = archive, path, max_bytes
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
        self._names = dict.fromkeys(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def header(self, name: str) -> ArrayHeader:
        """Return the shape and type of an array.

        Raises:
            KeyError: there is no such array.
            InputError: the header is damaged, the array has an unsupported type, or its size is above the limit.
        """
        if name not in self._names:
            raise KeyError(name)
        with _input_errors(self._path, name):
            member = self._archive.getinfo(name + ".npy")
            with self._archive.open(member) as file:
                return _read_header(file, member.file_size, self._max_bytes)

    def read(self, name: str, kind: str, ndim: int | tuple[int, ...], max_items: int) -> np.ndarray:
        """Return an array of a kind of elements and a number of dimensions.

        Args:
            name: name of the array.
            kind: a key of `KINDS`.
            ndim: number of dimensions, or several that are allowed.
            max_items: limit of its number of elements; for strings, of its characters.

        Raises:
            InputError: the array is missing, damaged, of another kind or shape, or too large.
        """
        if name not in self:
            raise InputError(f"cannot read {self._path}: array {name} not found")
        shape, dtype = self.header(name)
        allowed = (ndim,) if isinstance(ndim, int) else ndim
        if dtype.kind != kind or len(shape) not in allowed:
            dimensions = f"{' or '.join(map(str, allowed))} dimensions of {KINDS[kind]}"
            got = f"{len(shape)} of {dtype}"
            raise InputError(f"cannot read {self._path}: {name}: expected {dimensions}, got {got}")
        items = math.prod(shape) * (dtype.itemsize // 4 if kind == "U" else 1)
        if items > max_items:
            raise InputError(
                f"cannot read {self._path}: {name}: expected at most {max_items:,} elements, got {items:,}"
            )
        return self[name]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return an array.

        Raises:
            KeyError: there is no such array.
            InputError: the array is damaged, has an unsupported type, or its size is above the limit.
        """
        self.header(name)
        with _input_errors(self._path, name), self._archive.open(name + ".npy") as file:
            array = read_array(file)
            _check_characters(array)
            return array


@contextlib.contextmanager
def open_arrays(path: Path, max_bytes: int | None = None) -> Iterator[ArrayFile]:
    """Open an `.npz` file.

    Args:
        path: a regular file, or a URL.
        max_bytes: limit of the decompressed size of all arrays together; None: the larger of `MIN_BYTES` and
            `MAX_EXPANSION` times the file's size.

    Raises:
        InputError: the file cannot be opened, is not a regular file or no `.npz` file, or exceeds the limit.
    """
    with contextlib.ExitStack() as stack:
        with _input_errors(path):
            file = stack.enter_context(open_readable(path))
            if max_bytes is None:
                max_bytes = max(MIN_BYTES, MAX_EXPANSION * file.seek(0, os.SEEK_END))
        yield stack.enter_context(open_archive(file, path, max_bytes))


@contextlib.contextmanager
def open_archive(file: BinaryIO, path: object, max_bytes: int) -> Iterator[ArrayFile]:
    """Open a `.npz` file that is open for random access.

    Args:
        file: the file, which stays open.
        path: its path, for messages.
        max_bytes: limit of the decompressed size of all arrays together.

    Raises:
        InputError: it is no `.npz` file, or exceeds the limit.
    """
    with contextlib.ExitStack() as stack:
        with _input_errors(path):
            _check_directory(file)
            archive = stack.enter_context(zipfile.ZipFile(file))
            _check_archive(archive, max_bytes)
        yield ArrayFile(archive, path, max_bytes)


def read_array_header(file: BinaryIO, size: int) -> ArrayHeader:
    """Return the shape and type of the array in a `.npy` file of `size` bytes, from its beginning.

    Raises:
        ValueError: the header is damaged, the array has an unsupported type, or another size than the file.
    """
    return _read_header(file, size, size)


def read_array(file: IO[bytes]) -> np.ndarray:
    """Return the array in a `.npy` file whose header is checked, from its beginning."""
    array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False, max_header_size=MAX_HEADER_CHARACTERS)
    return array


def _check_directory(file: BinaryIO) -> None:
    """Check the size of the archive's directory, which `zipfile` reads whole; NumPy writes archives without comment."""
    file.seek(-min(END_BYTES, file.seek(0, os.SEEK_END)), os.SEEK_END)
    records = file.read().rjust(END_BYTES)
    zip64, locator, end = records[:56], records[56:76], records[76:]
    if not end.startswith(b"PK\5\6"):
        raise ValueError("it is no .npz file, or is truncated")
    sizes = [int.from_bytes(end[12:16], "little")]
    if locator.startswith(b"PK\6\7"):
        sizes.append(int.from_bytes(zip64[40:48], "little"))
    if max(sizes) > MAX_DIRECTORY_BYTES:
        raise ValueError(f"expected at most {MAX_DIRECTORY_BYTES:,} bytes of the archive's directory")


def _check_archive(archive: zipfile.ZipFile, max_bytes: int) -> None:
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    if size > max_bytes:
        raise ValueError(f"expected at most {max_bytes:,} decompressed bytes, got {size:,}")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ValueError("expected stored or deflated arrays")  # the decoders of others allocate what the file declares


def _read_header(file: IO[bytes], size: int, max_bytes: int) -> ArrayHeader:
    """Read the header of an array of `size` bytes, header included."""
    start = io.BytesIO(file.read(HEADER_BYTES))
    version = np.lib.format.read_magic(start)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"expected version 1.0 or 2.0 of the format, got {version[0]}.{version[1]}")
    shape, _, dtype = readers[version](start, max_header_size=MAX_HEADER_CHARACTERS)
    header = ArrayHeader(shape, dtype)
    if dtype.hasobject or dtype.kind not in KINDS:
        raise ValueError(f"expected an array of {', '.join(KINDS.values())}, got type {dtype}")
    if any(length < 0 for length in shape):
        raise ValueError(f"expected a shape without negative numbers, got {shape}")
    if header.nbytes > max_bytes:
        raise ValueError(f"expected at most {max_bytes:,} bytes, got shape {shape} of {dtype}")
    if start.tell() + math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"its size differs from that of shape {shape} of {dtype}")
    return header


def _check_characters(array: np.ndarray) -> None:
    """Require code points in an array of strings; NumPy would raise SystemError when they become Python strings."""
    if array.dtype.kind == "U" and array.nbytes:
        codes = np.ascontiguousarray(array).reshape(-1).view(array.dtype.str[0] + "u4")
        if codes.max() > sys.maxunicode:
            raise ValueError("expected Unicode characters")


@contextlib.contextmanager
def _input_errors(path: object, name: str | None = None) -> Iterator[None]:
    """Turn the exceptions of zip, zlib and NumPy for damaged files, which are almost any, into `InputError`."""
    try:
        yield
    except GradcamError:
        raise
    except Exception as error:
        reason = "out of memory" if isinstance(error, MemoryError) else _reason(error)
        raise InputError(f"cannot read {path}: {f'{name}: ' if name else ''}{reason}") from error


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.splitlines()[0] if text else type(error).__name__
