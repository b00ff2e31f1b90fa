"""Files that people and enemies put before the program: each kind with what must become of it.

`CASES` is read by the tests of decoding, which take the bytes, and by the test of the whole command, which
lays all of them into one directory.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

SIZE = (64, 48)
RED = (255, 0, 0)
DAMAGED = "not an image|damaged image"
LARGE = "too large: "


class Case(NamedTuple):
    """A hostile file.

    Attributes:
        kind: what it stands for.
        name: of the file, below the directory of the corpus.
        make: writes it to a path.
        refused: words of the error, or None where a map must come.
        pixel: the first pixel of the photo, where it is known.
    """

    kind: str
    name: str
    make: Callable[[Path], object]
    refused: str | None = None
    pixel: tuple[int, int, int] | None = None


def noise(size=SIZE):
    """A photo that does not compress, so that its data fill its file."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def holding(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows: bytes, *others: bytes) -> bytes:
    """A PNG written by hand: what Pillow itself would not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + b"".join([header, *others, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


def tiff(width, height, next_directory=0, count=1, offset=8) -> bytes:
    """A gray TIFF written by hand, of which only the claims matter."""
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    tags += [(273, 4, count, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, count, width * height % 2**32)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", offset) + directory + struct.pack("<I", next_directory) + bytes(64)


def patched(data: bytes, place: int, *values: int, form: str) -> bytes:
    new = struct.pack(form, *values)
    return data[:place] + new + data[place + len(new) :]


def truncated() -> Iterator[Case]:
    for kind, options in [("JPEG", {}), ("PNG", {}), ("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {})]:
        data = encoded(noise(), kind, **options)
        for tenth in range(10):
            words = "the file is empty" if tenth == 0 else DAMAGED
            name = f"cut-{tenth}.{kind.lower()}"
            yield Case(f"cut {kind}", name, holding(data[: len(data) * tenth // 10]), words)


def bombs() -> Iterator[Case]:
    jpeg = encoded(noise(), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    webp = encoded(noise(), "WEBP")
    gif, bmp = encoded(noise(), "GIF"), encoded(noise(), "BMP")
    for name, data in {
        "bomb.png": png(60_000, 60_000, 8, 0, b""),
        "bomb-just.png": png(9_460, 9_460, 8, 0, b""),  # beyond the limit, within Pillow's twice as much
        "bomb.tiff": tiff(60_000, 60_000),
        "bomb.webp": patched(webp, webp.index(b"\x9d\x01\x2a") + 3, 16_383, 16_383, form="<HH"),
        "bomb.gif": patched(gif, 6, 65_535, 65_535, form="<HH"),
        "bomb.jpg": patched(jpeg, frame + 5, 65_000, 65_000, form=">HH"),
        "bomb.bmp": patched(bmp, 18, 60_000, 60_000, form="<ii"),
        "bomb.ppm": b"P6 60000 60000 255\n" + bytes(100),
    }.items():
        yield Case("bomb", name, holding(data), LARGE)
    inflated = zlib.compress(bytes(100 << 20))
    rows = b"\0\xff\0\0" * 1
    yield Case("bomb", "text.png", holding(png(1, 1, 8, 2, rows, chunk(b"zTXt", b"a\0\0" + inflated))), DAMAGED)
    yield Case("bomb", "profile.png", holding(png(1, 1, 8, 2, rows, chunk(b"iCCP", b"a\0\0" + inflated))), DAMAGED)
    long = png(1, 1, 8, 2, rows + bytes(100 << 20))
    yield Case("bomb", "long-data.png", holding(long), None, RED)
    yield Case("bomb", "sparse.png", lambda path: (path.touch(), os.truncate(path, 1 << 40)), LARGE)


def no_images() -> Iterator[Case]:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(ran) print flush showpage\n%%EOF\n"
    for name, data in {
        "random.png": np.random.default_rng(1).bytes(5000),
        "random.jpg": b"\xff\xd8\xff" + np.random.default_rng(1).bytes(5000),
        "zeros.png": bytes(5000),
        "text.jpg": b"hello",
        "page.png": b"<!doctype html><title>404</title>",
        "drawing.png": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "script.png": script,
        "archive.png": b"PK\x05\x06" + bytes(18),
        "document.jpg": b"%PDF-1.7\n",
        "pointer.png": b"version https://git-lfs.github.com/spec/v1\nsize 1\n",
        "signature.png": b"\x89PNG\r\n\x1a\n",
        "checksum.png": encoded(noise()).replace(b"IDAT", b"IDAT\x01", 1),
        "no-data.png": png(4, 4, 8, 2, b""),
        "no-width.png": png(0, 4, 8, 2, b""),
        "depth.png": png(4, 4, 77, 2, b""),
        "directory.tiff": tiff(4, 4, offset=0xFFFFFF),
        "count.tiff": tiff(4, 4, count=0x3FFFFFFF),
        "no-width.bmp": patched(encoded(noise(), "BMP"), 18, 0, 48, form="<ii"),
        "letters.ppm": b"P6 a b 255\n",
        "maximum.pgm": b"P5 2 2 99999999\n" + bytes(8),
    }.items():
        yield Case("no image", name, holding(data), DAMAGED)
    yield Case("empty", "empty.png", holding(b""), "the file is empty")


def shapes() -> Iterator[Case]:
    for width, height in [(1, 1), (1, 300), (300, 1), (30_000, 1), (30_000, 2), (1, 30_000)]:
        yield Case(
            "shape", f"{width}x{height}.png", holding(encoded(Image.new("RGB", (width, height), RED))), None, RED
        )


def modes() -> Iterator[Case]:
    deep = np.full((6, 6), 32896, np.uint16)  # 128 * 257
    gray = (128, 128, 128)
    yield Case("depth", "deep.png", holding(encoded(Image.fromarray(deep))), None, gray)
    yield Case("depth", "deep.tiff", holding(encoded(Image.fromarray(deep), "TIFF")), None, gray)
    yield Case("depth", "deep-swapped.tiff", holding(_big_endian(deep)), None, gray)
    row = b"\0" + struct.pack(">3H", 65535, 32896, 200) * 2
    yield Case("depth", "deep-rgb.png", holding(png(2, 1, 16, 2, row)), None, (255, 128, 0))
    yield Case("depth", "deep.pgm", holding(b"P5 2 1 65535\n" + struct.pack(">2H", 32896, 0)), None, gray)
    yield Case("depth", "bit.png", holding(encoded(Image.new("1", (9, 9), 1))), None, (255, 255, 255))
    for name, values, refused in [
        ("float.tiff", [[0.5, 1.0]], None),
        ("float-255.tiff", [[127.5, 255.0]], None),
        ("nan.tiff", [[0.5, np.nan]], "expected finite"),
        ("infinite.tiff", [[np.inf, 0.5]], "expected finite"),
        ("negative.tiff", [[-3.0, 0.5]], "expected pixel values"),
        ("huge.tiff", [[1e30, 0.5]], "expected pixel values"),
    ]:
        data = encoded(Image.fromarray(np.array(values, np.float32)), "TIFF")
        yield Case("float", name, holding(data), refused, None if refused else gray)
    ink = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100)
    yield Case("CMYK", "adobe.jpg", holding(ink), None, RED)
    yield Case("CMYK", "ink.tiff", holding(encoded(Image.new("CMYK", (9, 9), (0, 255, 255, 0)), "TIFF")), None, RED)
    yield Case("colour", "lab.tiff", holding(encoded(Image.new("LAB", (9, 9), (128, 0, 0)), "TIFF")))
    yield from _transparent()


def _big_endian(values) -> bytes:
    """A big-endian TIFF of 16 bits: 'MM', the pixels at 8, the directory behind them."""
    height, width = values.shape
    data = values.astype(">u2").tobytes()
    tags = [(256, 3, 1, width << 16), (257, 3, 1, height << 16), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16)]
    tags += [(262, 3, 1, 1 << 16), (273, 4, 1, 8), (277, 3, 1, 1 << 16), (278, 3, 1, height << 16)]
    tags += [(279, 4, 1, len(data))]
    directory = struct.pack(">H", len(tags)) + b"".join(struct.pack(">HHII", *tag) for tag in tags)
    return b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + directory + bytes(4)


def _transparent() -> Iterator[Case]:
    palette = Image.new("P", (9, 9))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    for name, options, pixel in [
        ("palette.png", {}, RED),
        ("clear-entry.png", {"transparency": 0}, (255, 255, 255)),
        ("clear-bytes.png", {"transparency": b"\x00\xff"}, (255, 255, 255)),
    ]:
        yield Case("transparent", name, holding(encoded(palette, **options)), None, pixel)
    clear = encoded(Image.new("RGBA", (9, 9), (0, 0, 0, 0)))
    yield Case("transparent", "clear.png", holding(clear), None, (255, 255, 255))
    clear = encoded(Image.new("LA", (9, 9), (0, 0)))
    yield Case("transparent", "clear-gray.png", holding(clear), None, (255, 255, 255))


def metadata() -> Iterator[Case]:
    exif = b"Exif\0\0" + np.random.default_rng(2).bytes(300)
    yield Case("EXIF", "exif.jpg", holding(encoded(noise(), "JPEG", exif=exif)))
    yield Case("EXIF", "exif-short.jpg", holding(encoded(noise(), "JPEG", exif=b"Exif\0\0MM\0*")))
    loop = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"  # a directory within itself
    yield Case("EXIF", "exif-loop.jpg", holding(encoded(noise(), "JPEG", exif=loop)))
    wrong = Image.Exif()
    wrong[0x0112] = 77
    yield Case("EXIF", "orientation.jpg", holding(encoded(noise(), "JPEG", exif=wrong)))
    yield Case("EXIF", "exif.png", holding(encoded(Image.new("RGB", (9, 9), RED), exif=exif)), None, RED)
    red = Image.new("RGB", (9, 9), RED)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    yield Case("profile", "srgb.png", holding(encoded(red, icc_profile=profile)), None, RED)
    yield Case("profile", "profile.tiff", holding(encoded(red, "TIFF", icc_profile=b"no profile")), None, RED)
    random_profile = encoded(red, icc_profile=np.random.default_rng(3).bytes(999))
    yield Case("profile", "random-profile.png", holding(random_profile), None, RED)
    yield Case("loop", "loop.tiff", holding(tiff(4, 4, next_directory=8)))
    yield Case("wrong suffix", "png.jpg", holding(encoded(red)), None, RED)
    yield Case("wrong suffix", "gif.png", holding(encoded(red, "GIF")), None, RED)
    yield Case("wrong suffix", "jpeg.webp", holding(encoded(red, "JPEG")))
    yield Case("tail", "tail.png", holding(encoded(red) + b"PK\x03\x04" + bytes(999)), None, RED)


def animations() -> Iterator[Case]:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue", "lime")]
    for kind, name in [("GIF", "moving.gif"), ("WEBP", "moving.webp"), ("PNG", "moving.png"), ("TIFF", "pages.tiff")]:
        lossless = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless)
        yield Case("animation", name, holding(data), None, RED)


def names() -> Iterator[Case]:
    data = encoded(Image.new("RGB", (9, 9), RED))
    for name in [
        *("new\nline.png", "-rf.png", "--help.png", "quo'te\".png", "sp ace.png", "$(touch ran).png", "%s%n.png"),
        *("back\\slash.png", "esc\x1b[31m.png", "turn\u202egnp.png", "日本語 🐈.png", "[a]*.png", "x.PNG", "~.png"),
        *(os.fsdecode(b"\xff\xfe\x80.png"), "a" * 246 + ".png", "ü" * 120 + ".png", "http:.png", "$x^2$.png"),
    ]:
        yield Case("name", name, holding(data), None, RED)


def no_files() -> Iterator[Case]:
    yield Case("pipe", "pipe.png", os.mkfifo, "expected an image file, got a pipe")
    yield Case("socket", "socket.png", partial(os.mknod, mode=stat.S_IFSOCK | 0o600), "got a socket")
    for device in ("zero", "null", "full"):
        yield Case("device", f"{device}.png", partial(_link, f"/dev/{device}"), "got a device")
    yield Case("link", "circle.png", partial(_link, "circle.png"), "cannot be read: Too many levels")
    yield Case("link", "there.png", partial(_link, "back.png"), "cannot be read: Too many levels")
    yield Case("link", "back.png", partial(_link, "there.png"), "cannot be read: Too many levels")
    yield Case("link", "nowhere.png", partial(_link, "nowhere/at/all"), "cannot be read: No such file")
    yield Case("link", "somewhere.png", partial(_link, "1x1.png"), None, RED)
    yield Case("directory", "folder.jpg/inside.png", _inside_a_folder, None, RED)
    if os.geteuid():
        yield Case("permission", "secret.png", lambda path: (path.touch(), path.chmod(0)), "cannot be read: Permission")


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)


def _inside_a_folder(path: Path) -> None:
    path.parent.mkdir()
    (path.parent / "up").symlink_to("..")
    path.write_bytes(encoded(Image.new("RGB", (9, 9), RED)))


PARTS = (truncated, bombs, no_images, shapes, modes, metadata, animations, names, no_files)
CASES = [case for part in PARTS for case in part()]


def lay_out(folder: Path) -> None:
    """Make all files of the corpus below a folder."""
    folder.mkdir()
    for case in CASES:
        case.make(folder / case.name)
