"""Files with too many scans, markers, chunks, blocks, frames or pages: refused at once, or decoded as usual."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images import structure
from gradcam_cli.images.decode import decode, memory_to_decode


def encoded(kind, size=(40, 30), **options):
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


JPEG, PROGRESSIVE = encoded("JPEG"), encoded("JPEG", progressive=True)
PNG, GIF = encoded("PNG"), encoded("GIF")
FRAME = GIF.index(b"\x2c\0\0\0\0")


def scans(count):
    last = PROGRESSIVE.rindex(b"\xff\xda")
    own = PROGRESSIVE.count(b"\xff\xda")
    return PROGRESSIVE[:-2] + PROGRESSIVE[last:-2] * (count - own) + PROGRESSIVE[-2:]


def markers(data):
    return JPEG[:2] + data + JPEG[2:]


def chunks(kind, count, position=33):
    return PNG[:position] + (struct.pack(">I", 0) + kind + struct.pack(">I", zlib.crc32(kind))) * count + PNG[position:]


def blocks(data):
    return GIF[:FRAME] + data + GIF[FRAME:]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (scans(3000), "too many scans: expected at most 100"),
        (scans(101), "too many scans"),
        (markers(b"\xff\xe5\0\2" * 20_000), "too many JPEG markers"),
        (markers(b"\xff" * 20_000), "too many JPEG markers"),
        (chunks(b"prIv", 20_000), "too many PNG chunks: expected at most 10,000"),
        (chunks(b"tEXt", 20_000, len(PNG) - 12), "too many PNG chunks"),
        (chunks(b"IDAT", 250_001, PNG.index(b"IDAT") - 4), "too many PNG chunks: expected at most 250,000"),
        (blocks(b"\x21\xfe\1c\0" * 5_000), "too many GIF blocks"),
        (blocks(b"\x21\xfe" + b"\1c" * 20_000 + b"\0"), "too many GIF blocks"),
    ],
)
def test_too_many_parts_are_refused_before_pillow_opens_the_file(data, words, monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(InputError, match=words) as caught:
        decode(data)
    assert caught.value.hint
    with pytest.raises(InputError, match=words):
        memory_to_decode(io.BytesIO(data))


@pytest.mark.parametrize(
    "data",
    [
        scans(100),
        PROGRESSIVE,
        markers(b"\xff\xe2" + struct.pack(">H", 65535) + b"\xff\xda" * 32766 + b"\0"),  # no scans: within metadata
        JPEG + b"\xff\xda" * 500,  # after the end, as in the video of a motion photo
        encoded("JPEG", restart_marker_blocks=1),
        markers(b"\xff\xe5\0\2" * 300),
        chunks(b"prIv", 900),
        chunks(b"IDAT", 900, PNG.index(b"IDAT") - 4),
        blocks(b"\x21\xfe" + (b"\xff" + b"c" * 255) * 900 + b"\0"),
    ],
)
def test_ordinary_files_pass(data):
    assert decode(data).shape == (30, 40, 3)


@pytest.mark.parametrize("block", [64, 1 << 20])
def test_scans_are_counted_across_blocks(monkeypatch, block):
    """A marker may begin in one block of the file and end in the next."""
    monkeypatch.setattr(structure, "_BLOCK", block)
    for shift in range(4):
        data = markers(b"\xff\xe5" + struct.pack(">H", 2 + shift) + bytes(shift)).replace(JPEG[2:], scans(101)[2:])
        with pytest.raises(InputError, match="too many scans"):
            structure.check_structure(io.BytesIO(data))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_only_the_first_of_many_frames_is_decoded(kind):
    """A thousand frames or pages: the first one."""
    frames = [Image.fromarray(np.full((4, 4, 3), (n % 256, n // 256 * 60, 0), np.uint8)) for n in range(1000)]
    buffer = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], **lossless)
    assert decode(buffer.getvalue())[0, 0].tolist() == [0, 0, 0]


def test_truncated_heads_pass_on_to_pillow():
    """Every beginning of a file is an ordinary damaged image."""
    for data in (JPEG, PNG, GIF):
        for length in (1, 2, 3, 9, 11, 20, 40):
            structure.check_structure(io.BytesIO(data[:length]))
            with pytest.raises(InputError, match="image"):
                decode(data[:length])
