"""Decoding of all image modes to RGB, and errors for damaged files."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images.decode import decode
from gradcam_cli.images.encode import encode

ROOT = Path(__file__).parents[2]


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 3), (300, 1, 3), (1, 300, 3)])
def test_rgb_png_is_exact(shape):
    """Pillow, which checks all checksums, decodes the encoded pixels exactly."""
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(decode(encode(pixels)), pixels)
    np.testing.assert_array_equal(decode(encode(pixels[:, ::-1])), pixels[:, ::-1])  # not contiguous


def test_png_is_compressed():
    """The file of a photograph has about the size of Pillow's compression level 1."""
    with Image.open(ROOT / "sample_images/chelsea.png") as file:
        image = file.convert("RGB")
    assert len(encode(np.asarray(image))) < 1.05 * len(encoded(image, compress_level=1))


@pytest.mark.parametrize(("orientation", "turned"), [(1, 0), (6, -1), (8, 1), (3, 2)])
def test_exif_orientation_is_applied(orientation, turned):
    """The pixels are rotated as the EXIF orientation requires (6: quarter turn clockwise)."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(Image.fromarray(pixels), exif=exif))
    np.testing.assert_array_equal(decoded, np.rot90(pixels, turned))


def test_transparency_is_composited_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 255  # red: clear, half, solid
    rgba[0, :, 3] = [0, 128, 255]
    np.testing.assert_allclose(
        decode(encoded(Image.fromarray(rgba, "RGBA")))[0], [[255, 255, 255], [255, 127, 127], [255, 0, 0]], atol=1
    )


def test_transparent_palette_entry_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    decoded = decode(encoded(image, transparency=1))
    np.testing.assert_array_equal(decoded[0], [[255, 0, 0], [255, 255, 255]])


def test_sixteen_bits_are_scaled_to_eight():
    values = np.array([[0, 32768, 65535]], np.uint16)
    np.testing.assert_array_equal(decode(encoded(Image.fromarray(values)))[0, :, 0], [0, 128, 255])


@pytest.mark.parametrize("scale", [1.0, 255.0])
def test_float_pixels_of_both_ranges_are_scaled(scale):
    values = np.array([[0, 0.5, 1.0]], np.float32) * scale
    np.testing.assert_allclose(decode(encoded(Image.fromarray(values), "TIFF"))[0, :, 0], [0, 128, 255], atol=1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -3.0, 1e6])
def test_float_pixels_out_of_range_are_refused(bad):
    image = Image.fromarray(np.array([[0.5, bad]], np.float32))
    with pytest.raises(InputError, match="expected"):
        decode(encoded(image, "TIFF"))


def test_cmyk_gray_and_bilevel_become_rgb():
    assert (decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"))[0, 0] == [255, 0, 0]).all()
    assert (decode(encoded(Image.new("L", (2, 2), 90))) == 90).all()
    assert (decode(encoded(Image.new("1", (2, 2), 1))) == 255).all()


def test_animation_is_its_first_frame():
    frames = [Image.new("RGB", (3, 3), color) for color in ("red", "blue")]
    decoded = decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    np.testing.assert_array_equal(decoded[0, 0], [255, 0, 0])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "not an image"),
        (encoded(Image.new("RGB", (64, 64)), "JPEG")[:400], "not an image|damaged"),
        (encoded(Image.effect_noise((64, 64), 90))[:2000], "damaged image: .*truncated"),
    ],
)
def test_damaged_file_is_refused(data, words):
    with pytest.raises(InputError, match=words):
        decode(data)


def test_image_above_max_pixels_is_refused():
    """The limit is checked before decoding, and the hint names the option."""
    data = encoded(Image.new("1", (2000, 1000)))
    with pytest.raises(InputError, match="2000x1000 = 2,000,000") as caught:
        decode(data, max_pixels=1_000_000)
    assert "--max-pixels" in caught.value.hint
    assert decode(data, max_pixels=2_000_000).shape == (1000, 2000, 3)
