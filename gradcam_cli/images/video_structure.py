"""Checks of the parts of MP4 and Matroska files before FFmpeg opens them.

FFmpeg keeps some numbers of each sample (a frame, or a piece of sound) that a header declares, whether it is there or
not, and it decodes the beginning of a truncated Matroska file without an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradcam_cli.errors import InputError

MIN_SAMPLES = 1 << 20
"""Samples that a file of any size may declare; larger files may declare one for each byte."""
PICTURES = (b"mdat", b"free", b"skip", b"wide")
"""Boxes at the top of an MP4 file that have no headers of samples."""
_COUNT = re.compile(rb"(?:stsz.{8}|stz2.{8}|trun.{4})(.{4})", re.DOTALL)
"""Headers of samples: the number of samples follows versions, flags and a size."""
_COMPRESSED = b"cmov"


def check_mp4(data: bytes) -> None:
    """Check that an MP4 or MOV file declares no more samples than it can have.

    Raises:
        InputError: it declares more, or its header is compressed.
    """
    limit = max(len(data), MIN_SAMPLES)
    for header in _headers(data):
        if _COMPRESSED in header:
            raise InputError("videos with a compressed header are not supported")
        samples = sum(int.from_bytes(match[1]) for match in _COUNT.finditer(header))
        if samples > limit:
            raise InputError(f"damaged video: expected at most {limit:,} samples, got {samples:,}")


def _headers(data: bytes) -> Iterator[bytes]:
    """Yield the boxes at the top of a file that are no pictures or sound."""
    place = 0
    while place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16])
        end = place + size if size >= 8 else len(data)
        if kind not in PICTURES:
            yield data[place:end]
        place = end


def check_matroska(data: bytes) -> None:
    """Check that a Matroska or WebM file is as long as it declares.

    Raises:
        InputError: it is truncated.
    """
    _, header_end = _element(data, 4)
    size, end = _element(data, header_end + 4)
    if size is not None and len(data) < end:
        raise InputError(f"damaged video: expected {end:,} bytes, got {len(data):,}")


def _element(data: bytes, place: int) -> tuple[int | None, int]:
    """Return the size of an element, from the bytes behind its name, and its end; None if the size is unknown."""
    length = 9 - data[place].bit_length()
    largest = (1 << 7 * length) - 1
    size = int.from_bytes(data[place : place + length]) & largest
    return (None if size == largest else size), place + length + size
