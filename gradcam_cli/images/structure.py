"""Limits on the parts of JPEG, PNG and GIF files, checked before Pillow opens them.

A file of some kilobytes can repeat a scan thousands of times, and libjpeg decodes each of them; a header of a million
empty parts takes minutes, or 40 times its size in memory.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from gradcam_cli.errors import InputError

MAX_SCANS = 100
"""Scans of a JPEG; encoders write about 10, and libjpeg-turbo recommends at most 100 to 500 for untrusted files."""
MAX_PARTS = 10_000
"""Parts of the metadata: JPEG markers, PNG chunks, GIF blocks before the first frame. A color profile takes 255."""
MAX_DATA_CHUNKS = 250_000
"""Chunks of a PNG's pixels; libpng writes 8 KB in each."""

_EOI, _SOS = 0xD9, 0xDA
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The end of a scan's data: a marker that is neither an escaped 0xFF nor a restart marker."""
_BLOCK = 1 << 20
_PIXEL_CHUNKS = (b"IDAT", b"fdAT", b"fcTL")
_EXTENSION = 0x21


def check_structure(file: BinaryIO) -> None:
    """Check the number of parts of an image file; other formats pass.

    Args:
        file: open at its beginning; it is left there.

    Raises:
        InputError: there are more than `MAX_SCANS` scans, `MAX_PARTS` parts of metadata or `MAX_DATA_CHUNKS` chunks.
    """
    start = file.read(8)
    try:
        if start.startswith(b"\xff\xd8"):
            _check_jpeg(file)
        elif start == b"\x89PNG\r\n\x1a\n":
            _check_png(file)
        elif start.startswith(b"GIF8"):
            _check_gif(file)
    finally:
        file.seek(0)


def _too_many(parts: str, limit: int) -> InputError:
    return InputError(f"too many {parts}: expected at most {limit:,}, got more", "save the image again, as a PNG")


def _check_jpeg(file: BinaryIO) -> None:
    position, scans = 2, 0
    for _ in range(MAX_PARTS):
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _EOI:
            return
        if head[1] == 0xFF:  # a fill byte
            position += 1
        elif head[1] in _WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(head[2:])
        if head[1] == _SOS:
            scans += 1
            position = _end_of_scan(file, position)
        if scans > MAX_SCANS:
            raise _too_many("scans", MAX_SCANS)
    raise _too_many("JPEG markers", MAX_PARTS)


def _end_of_scan(file: BinaryIO, position: int) -> int:
    """Return the position of the first marker after a scan's data, or the end of the file."""
    file.seek(position)
    while block := file.read(_BLOCK):
        if match := _MARKER.search(block):
            return position + match.start()
        position += len(block)
        if block[-1] == 0xFF and len(block) == _BLOCK:  # perhaps the first byte of a marker
            position -= 1
            file.seek(position)
    return position


def _check_png(file: BinaryIO) -> None:
    position = 8
    others = 0
    for _ in range(MAX_DATA_CHUNKS):
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IEND":
            return
        others += head[4:] not in _PIXEL_CHUNKS
        if others > MAX_PARTS:
            raise _too_many("PNG chunks", MAX_PARTS)
        position += 12 + int.from_bytes(head[:4])
    raise _too_many("PNG chunks", MAX_DATA_CHUNKS)


def _check_gif(file: BinaryIO) -> None:
    """Count the extensions before the first frame and their blocks of up to 255 bytes."""
    file.seek(10)
    flags = file.read(3)[:1] or b"\0"
    position = 13 + (3 << (flags[0] & 7) + 1 if flags[0] & 0x80 else 0)
    in_extension = False
    for _ in range(MAX_PARTS):
        file.seek(position)
        size = file.read(1)
        if not size or not (in_extension or size[0] == _EXTENSION):
            return
        position += 1 + size[0] if in_extension else 2
        in_extension = not in_extension or size[0] > 0
    raise _too_many("GIF blocks", MAX_PARTS)
