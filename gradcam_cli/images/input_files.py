"""Decoding of a file of any kind: which reader it gets, by its first bytes and the inputs that the model takes."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from functools import partial
from typing import BinaryIO, NamedTuple

from gradcam_cli.errors import InputError
from gradcam_cli.images import array_files, array_inputs, decode
from gradcam_cli.images.axes import INPUT_OF_RANK, INPUTS_OF_RANK
from gradcam_cli.images.band_files import BYTES_PER_VALUE, is_tiff
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.memory import ACTIVE
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import FILM_SUFFIXES, SeriesSource, Source

START_BYTES = 352
"""First bytes that are looked at: the header of a NIfTI file."""
SUPPORTED = {
    1: "WAV, .npy and .npz",
    2: "images; .npy and .npz arrays",
    3: "NIfTI, DICOM, GIF, WebP, MP4, MOV, AVI, MKV, WebM, .npy, .npz, and folders of DICOM files or of frames",
}
"""What a model of a rank reads, for messages."""
IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
"""Brands of the files that begin like MP4, and are images."""


class Format(NamedTuple):
    """A format of files.

    Attributes:
        name: for messages.
        ranks: numbers of spatial axes of the model inputs that it can have.
        matches: whether a file with these first bytes, and this name, has the format.
        read: decodes its bytes; None for images.
    """

    name: str
    ranks: tuple[int, ...]
    matches: Callable[[bytes, str], bool]
    read: Callable[[bytes, ReadOptions], Decoded] | None = None


def memory_to_decode(file: BinaryIO, name: str, options: ReadOptions) -> int:
    """Return the bytes that `decode_input` takes at most, as far as the beginning of the file shows it.

    Args:
        file: open at its beginning; it is left there.
        name: its path, whose suffix counts if its beginning shows no format.
        options: how it is read.

    Raises:
        InputError: as `decode_input`, if the beginning of the file shows it.
    """
    start = file.read(START_BYTES)
    file.seek(0)
    found = _format_of(start, name, options.rank)
    if options.rank == 2:
        return decode.memory_to_decode(file, options)
    if found.read is not _read_array:
        return ACTIVE.limit // 2  # at most two are decoded at a time
    with decode.one_line_errors("file"):
        size = file.seek(0, io.SEEK_END) + BYTES_PER_VALUE * math.prod(array_files.read_shape(_rewound(file), options))
        file.seek(0)
        return size


def decode_input(data: bytes, name: str, options: ReadOptions) -> Decoded:
    """Decode a file.

    Args:
        data: its bytes.
        name: its path, whose suffix counts if its beginning shows no format.
        options: how it is read.

    Raises:
        InputError: the file is empty, damaged, too large, has another number of spatial axes than the model input, or
            requires a package.
    """
    if options.rank == 2:
        return decode.decode_all(data, options)
    read = _format_of(data[:START_BYTES], name, options.rank).read
    with decode.one_line_errors("file"):
        return read(data, options) if read else decode.decode_all(data, options)


def decode_series(source: SeriesSource, options: ReadOptions, max_bytes: int) -> tuple[Decoded, str]:
    """Decode the files of a folder, the slices of a volume or the frames of a film, and return the SHA-256 of all.

    Args:
        source: the folder.
        options: how they are read.
        max_bytes: limit of the size of each file.

    Raises:
        InputError: as `decode_input`, or the files do not belong together.
    """
    digest = hashlib.sha256()  # of the bytes that are decoded: each file is read once, in order
    files = [
        (file, partial(_read, Source(file, hosts=source.hosts), max_bytes, digest.update)) for file in source.files
    ]
    with decode.one_line_errors("file"):
        if source.is_volume:
            from gradcam_cli.images.dicom import read_dicom_series as read
        else:
            from gradcam_cli.images.films import read_frames as read
        return read(files, options), digest.hexdigest()


def _read(source: Source, max_bytes: int, update: Callable[[bytes], None]) -> bytes:
    data = source.read(max_bytes)
    update(data)
    return data


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def _format_of(start: bytes, name: str, rank: int) -> Format:
    """Return the format of a file, the first that a model of a rank takes.

    Raises:
        InputError: the file is empty or has another format.
    """
    if not start:
        raise InputError("the file is empty")
    matching = [each for each in FORMATS if each.matches(start, name.lower())]
    if taken := [each for each in matching if rank in each.ranks]:
        return taken[0]
    if rank == 2 and not matching:
        return PICTURE  # Pillow decides
    got = matching[0].name if matching else "an unknown format"
    raise InputError(
        f"expected {INPUT_OF_RANK[rank]}, got {got}",
        f"the model takes {INPUTS_OF_RANK[rank]}; supported: {SUPPORTED[rank]}",
    )


def _read_array(data: bytes, options: ReadOptions) -> Decoded:
    stored, kind = array_files.read_arranged(io.BytesIO(data), options)
    return array_inputs.to_input(stored, kind, options)


def _read_wave(data: bytes, options: ReadOptions) -> Decoded:
    from gradcam_cli.images.wave_files import read_wave

    return read_wave(data, options)


def _read_nifti(data: bytes, options: ReadOptions) -> Decoded:
    from gradcam_cli.images.nifti import read_nifti

    return read_nifti(data, options)


def _read_dicom(data: bytes, options: ReadOptions) -> Decoded:
    from gradcam_cli.images.dicom import read_dicom_series

    return read_dicom_series([("the file", lambda: data)], options)


def _read_film(data: bytes, options: ReadOptions) -> Decoded:
    from gradcam_cli.images.films import read_film

    return read_film(data, options)


def _is_wave(start: bytes, name: str) -> bool:
    return start[:4] in (b"RIFF", b"RIFX", b"RF64") and start[8:12] == b"WAVE"


def _is_nifti(start: bytes, name: str) -> bool:
    return start[344:348] == b"n+1\0" or start[4:8] == b"n+2\0" or start.startswith(b"\x1f\x8b")


def _is_dicom(start: bytes, name: str) -> bool:
    return start[128:132] == b"DICM" or name.endswith(".dcm")


def _is_animation(start: bytes, name: str) -> bool:
    return start.startswith((b"GIF8", b"\x89PNG")) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


def _is_film(start: bytes, name: str) -> bool:
    if start[4:8] == b"ftyp" and start[8:12] in IMAGE_BRANDS:
        return False
    known = start[4:8] in (b"ftyp", b"moov", b"mdat") or start.startswith(b"\x1a\x45\xdf\xa3")
    return known or start[8:12] == b"AVI " or name.endswith(tuple(FILM_SUFFIXES - {".gif"}))


def _is_picture(start: bytes, name: str) -> bool:
    return start.startswith((b"\xff\xd8", b"BM")) or is_tiff(start) or _is_animation(start, name)


PICTURE = Format("an image", (2,), _is_picture)
FORMATS = (
    Format("an array", (1, 2, 3), lambda start, _: array_files.is_array(start), _read_array),
    Format("a WAV file", (1,), _is_wave, _read_wave),
    PICTURE,
    Format("an animation", (3,), _is_animation, _read_film),
    Format("a NIfTI file", (3,), _is_nifti, _read_nifti),
    Format("a DICOM file", (3,), _is_dicom, _read_dicom),
    Format("a film", (3,), _is_film, _read_film),
)
"""The formats that are recognized; a model of images takes all others, too, that Pillow reads."""
