"""One image source (a file, a URL or standard input) and its bytes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from gradcam_cli.errors import InputError
from gradcam_cli.near_matches import near_file
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.regular_files import FileTooLargeError, SpecialFileError, open_regular

SUFFIXES = frozenset(
    ".avif .bmp .dib .gif .j2k .jfif .jp2 .jpe .jpeg .jpg .mpo .pbm .pcx .pgm .png .pnm .ppm .qoi .sgi .tga .tif .tiff "
    ".webp".split()
)
"""Suffixes of the files in a directory that are images."""
HEIF_SUFFIXES = frozenset((".heic", ".heif", ".hif"))
"""Suffixes of photos that are images if pillow-heif is installed."""
ARRAY_NAME = "array"
"""Name of an image that is no file; one of several is named by its position, `images[3]`."""
ARRAY_SUFFIX = ".npy"
"""Suffix of arrays of bands; a directory may hold other arrays, so that its arrays are images only if bands are."""
SIGNAL_SUFFIXES = frozenset((".wav", ".npy", ".npz"))
"""Suffixes of the files in a directory that are signals."""
FILM_SUFFIXES = frozenset(".gif .mp4 .mov .avi .mkv .webm".split())
"""Suffixes of films; a WebP image is one if it is animated."""
VOLUME_SUFFIXES = frozenset((".nii", ".nii.gz"))
SLICE_SUFFIX = ".dcm"
"""Suffix of DICOM files; those of a folder are one volume."""
FILE_SUFFIXES = SUFFIXES | {ARRAY_SUFFIX, SLICE_SUFFIX} | SIGNAL_SUFFIXES | FILM_SUFFIXES | VOLUME_SUFFIXES
"""Suffixes of all files that are read."""
UNSUPPORTED_SUFFIXES = frozenset(
    ".ai .arw .cr2 .cr3 .dcm .dng .emf .eps .exr .hdr .jxl .jxr .nef .nii .orf .pdf .ps .raf .rw2 .svg "
    ".wdp .wmf".split()
)
"""Suffixes of images that cannot be read, and of volumes; a note counts those in a directory."""
MAX_BYTES = 1 << 31
"""Default limit of a file's size, larger than any supported image."""


def is_array_name(name: str) -> bool:
    """Return whether an image of this name is no file."""
    return name == ARRAY_NAME or re.fullmatch(r"images\[\d+\]", name) is not None


@dataclass(frozen=True)
class Source:
    """One input to explain.

    Attributes:
        name: path or URL; `-` for standard input.
        relative_path: path relative to the input directory; None for an input file.
        hosts: hosts to which the server of a web address may redirect, besides its own.
    """

    name: str
    relative_path: Path | None = None
    hosts: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that are read, which no output may replace."""
        return (self.name,)

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes.

        Raises:
            InputError: as `open`.
        """
        with self.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]

    def read(self, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the file's bytes; arguments and errors are those of `open`."""
        with self.open(max_bytes) as file:
            return file.read()

    @contextlib.contextmanager
    def open(self, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
        """Open the file for random access; a URL or standard input is first read into memory.

        Args:
            max_bytes: limit of the file's size.

        Raises:
            InputError: the file is missing, not a regular file, too large, or cannot be read.
        """
        try:
            if self.name == "-":
                yield io.BytesIO(sys.stdin.buffer.read())
                return
            if is_url(self.name):
                yield io.BytesIO(remote.read(self.name, max_bytes, self.hosts))
                return
            with open_regular(self.name, max_bytes) as file:
                yield file
        except SpecialFileError as error:
            hint = "- reads standard input" if error.kind == "a pipe" else None
            raise InputError(f"expected an image file, got {error.kind}", hint) from error
        except FileTooLargeError as error:
            raise InputError(str(error.strerror), "raise --max-pixels if you trust the file") from error
        except OSError as error:
            hint = near_file(self.name) if isinstance(error, FileNotFoundError) and not is_url(self.name) else None
            raise InputError(f"cannot be read: {error.strerror or error}", hint) from error


@dataclass(frozen=True)
class SeriesSource(Source):
    """A folder that is one input: the slices of a volume, or the frames of a film.

    Attributes:
        files: the paths or URLs of its files, in natural order.
    """

    files: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The files of the folder."""
        return self.files

    @property
    def is_volume(self) -> bool:
        """Whether the files are slices of a volume."""
        return self.files[0].lower().endswith(SLICE_SUFFIX)

    def sha256(self) -> str:
        """Return the SHA-256 of the bytes of all files, in order."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(Source(file, hosts=self.hosts).read())
        return digest.hexdigest()

    @contextlib.contextmanager
    def open(self, max_bytes: int = MAX_BYTES) -> Iterator[BinaryIO]:
        """Raise an error: a folder is not one file."""
        raise InputError(f"expected a file, got a folder of {len(self.files)} files")
        yield io.BytesIO()  # a generator
