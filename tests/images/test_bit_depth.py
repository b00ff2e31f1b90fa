"""16-bit images that use fewer bits: their values, and the note about them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images.decode import decode, decode_all
from gradcam_cli.images.load import load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import Source

COLORS = np.array([[[0, 4095, 2048], [1, 257, 100]]], np.uint16)
SCALED = [[[0, 255, 128], [0, 16, 6]]]
"""COLORS * 255 / 4095, rounded, by hand: 127.53, 0.06, 16.004, 6.23."""


def png16(values, color_type):
    """A 16-bit PNG, written by hand, since Pillow writes none with colors."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff16(values, order):
    """An uncompressed 16-bit RGB TIFF with the byte order `<` or `>`, written by hand."""
    height, width, channels = values.shape
    pixels = values.astype(f"{order}u2").tobytes()
    bits_at, data_at = 8, 8 + 2 * channels
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, channels, bits_at), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, data_at), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, len(pixels))]
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, kind, count)
        + (struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value))
        for tag, kind, count, value in tags
    )
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", data_at + len(pixels))
    return header + struct.pack(f"{order}{channels}H", *[16] * channels) + pixels + directory


def gray16(values, kind):
    buffer = io.BytesIO()
    Image.fromarray(np.array([values], np.uint16)).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data", [png16(COLORS, 2), tiff16(COLORS, "<"), tiff16(COLORS, ">")], ids=["png", "little-endian", "big-endian"]
)
def test_max_value_scales_all_sixteen_bits_of_colors(data):
    """The low bytes count: 257 and 100 differ, although their high bytes are 1 and 0."""
    np.testing.assert_array_equal(decode(data, max_value=4095), SCALED)
    np.testing.assert_array_equal(decode(data), COLORS >> 8)


def test_transparency_keeps_its_own_range():
    """Opaque is 65535, also if the colors use 12 bits."""
    rgba = np.concatenate([COLORS, np.array([[[65535], [0]]], np.uint16)], axis=2)
    np.testing.assert_array_equal(decode(png16(rgba, 6), max_value=4095), [[[0, 255, 128], [255, 255, 255]]])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_max_value_scales_gray_images(kind):
    np.testing.assert_array_equal(decode(gray16([0, 512, 1023], kind), max_value=1023)[0, :, 0], [0, 128, 255])


def test_max_value_scales_float_images():
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0.0, 2048.0, 4095.0]], np.float32)).save(buffer, "TIFF")
    np.testing.assert_array_equal(decode(buffer.getvalue(), max_value=4095)[0, :, 0], [0, 128, 255])
    with pytest.raises(InputError, match=r"0\.\.255, got 0\.\.4095") as caught:
        decode(buffer.getvalue())
    assert "--max-value" in caught.value.hint


def test_max_value_does_not_change_images_of_eight_bits():
    buffer = io.BytesIO()
    Image.fromarray(np.array([[[10, 20, 30]]], np.uint8)).save(buffer, "PNG")
    np.testing.assert_array_equal(decode(buffer.getvalue(), max_value=4095), [[[10, 20, 30]]])


@pytest.mark.parametrize("data", [png16(COLORS, 2), gray16([0, 4095], "PNG")], ids=["color", "gray"])
def test_value_above_max_value_is_refused(data):
    with pytest.raises(InputError, match=r"0\.\.4094, got (0\.\.)?4095") as caught:
        decode(data, max_value=4094)
    assert "--max-value" in caught.value.hint


def test_gray_with_transparency_is_refused_with_max_value():
    with pytest.raises(InputError, match="16-bit gray images with transparency"):
        decode(png16(np.zeros((1, 1, 2), np.uint16), 4), max_value=4095)


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(0, None), (200, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14), (16384, None)],
)
def test_note_names_the_bits_that_are_used(largest, bits):
    note = decode_all(gray16([0, largest], "PNG")).note
    assert (note is None) if bits is None else (f"--max-value {2**bits - 1}" in note)


@pytest.mark.parametrize(("largest", "bits"), [(0, None), (4095, 12), (16383, 14), (16384, None), (65535, None)])
def test_note_of_colors_names_the_bits_that_are_used(largest, bits):
    note = decode_all(png16(np.full((1, 2, 3), largest, np.uint16), 2)).note
    assert (note is None) if bits is None else (f"--max-value {2**bits - 1}" in note)


def test_image_with_max_value_has_no_note(tmp_path):
    (tmp_path / "dark.png").write_bytes(png16(COLORS, 2))
    source = Source(str(tmp_path / "dark.png"))
    assert "dark.png: its 16-bit values are below 4,096" in load_image(source).note.text
    assert load_image(source, ReadOptions(max_value=4095)).note is None


def test_dropped_pixels_are_decoded_with_the_same_max_value(tmp_path):
    (tmp_path / "dark.png").write_bytes(png16(COLORS, 2))
    image = load_image(Source(str(tmp_path / "dark.png")), ReadOptions(max_value=4095))
    image._decoded = None
    np.testing.assert_array_equal(image.pixels, SCALED)
