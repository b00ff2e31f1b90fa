"""PNG and JPEG encoding; the PNG writer is faster than Pillow's, which tries five filters on every row."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

from gradcam_cli.images.memory import bands

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _UP = 2, 2


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode (H, W, 3) uint8 pixels as a PNG file; equal pixels give equal bytes.

    Each row is stored as its difference from the row above (filter Up) and compressed by run
    lengths and Huffman codes only. Overlays get about the size of compression level 1 in a third of its time.

    Source:
        PNG specification (ISO/IEC 15948), sections 5.3 (chunks), 9.2 (filters), 11.2.2 (header).
    """
    H, W, _ = pixels.shape
    rows = pixels.reshape(H, 3 * W)
    deflate = zlib.compressobj(strategy=zlib.Z_RLE)
    parts = [deflate.compress(_filter_up(rows, band)) for band in bands(pixels.shape)]
    data = b"".join([*parts, deflate.flush()])
    header = struct.pack(">IIBBBBB", W, H, 8, _RGB, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _filter_up(rows: np.ndarray, band: slice) -> bytes:
    """Return a band of rows as PNG stores it: each row begins with its filter."""
    filtered = np.empty((band.stop - band.start, 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[band.start] - rows[band.start - 1] if band.start else rows[0]
    np.subtract(rows[band][1:], rows[band][:-1], out=filtered[1:, 1:])
    return filtered.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", checksum)))


FORMATS = tuple("AVIF BMP DIB GIF ICO JPEG JPEG2000 MPO PCX PNG PPM PSD QOI SGI TGA TIFF WEBP".split())
"""Input formats, by Pillow's names. EPS is excluded, since Pillow starts Ghostscript for it."""


JPEG_QUALITY = 90


def encode(pixels: np.ndarray, image_format: str = "png") -> bytes:
    """Encode (H, W, 3) uint8 pixels as `png` or `jpg`; equal pixels give equal bytes."""
    if image_format == "png":
        return encode_png(pixels)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
