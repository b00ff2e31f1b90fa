"""Limits on the structure of JPEG files, checked before they are decoded.

A file of a few kilobytes can repeat a scan thousands of times, and libjpeg decodes all of them; a header of a million
empty segments takes 40 times its size in memory.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from gradcam_cli.errors import InputError

MAX_SCANS = 100
"""Scans of one image; encoders write about 10, and libjpeg-turbo recommends at most 100 to 500 for untrusted files."""
MAX_MARKERS = 10_000
"""Markers and fill bytes between the scans; a color profile takes up to 255."""

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_WITHOUT_LENGTH = {0x00, 0x01, *range(0xD0, 0xD9)}
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The end of a scan's data: a marker that is neither an escaped 0xFF nor a restart marker."""
_BLOCK = 1 << 20


def check_jpeg(file: BinaryIO) -> None:
    """Check the number of scans and markers of a JPEG file; other files pass.

    Args:
        file: open at its beginning; it is left there.

    Raises:
        InputError: there are more than `MAX_SCANS` scans or `MAX_MARKERS` markers.
    """
    try:
        if file.read(2) == bytes([0xFF, _SOI]):
            _check_markers(file)
    finally:
        file.seek(0)


def _check_markers(file: BinaryIO) -> None:
    position, scans = 2, 0
    for _ in range(MAX_MARKERS):
        file.seek(position)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == _EOI:
            return
        if head[1] == 0xFF:
            position += 1
        elif head[1] in _WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(head[2:])
            if head[1] == _SOS:
                scans += 1
                position = _end_of_scan(file, position)
        if scans > MAX_SCANS:
            raise InputError(f"too many scans: expected at most {MAX_SCANS}, got more", "save it as a baseline JPEG")
    raise InputError(f"too many markers: expected at most {MAX_MARKERS:,}, got more", "save the image again")


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
