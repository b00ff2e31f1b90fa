"""Images of any number of bands: NumPy arrays and TIFF files, their limits, and the picture that people see."""

import io
import pickle
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images import decode, load
from gradcam_cli.images.bands import Bands, parse_rgb, to_rgb
from gradcam_cli.images.box import Box
from gradcam_cli.images.fit import resize_bands, resize_to_input
from gradcam_cli.images.load import load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import Source

RNG = np.random.default_rng(0)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def tiff(array, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, photometric="minisblack", **options)
    return buffer.getvalue()


def values_of(data, **options):
    return decode.decode_all(data, ReadOptions(**options)).bands.values


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("count", [2, 4, 13])
def test_values_are_those_of_the_file(count, kind):
    stored = RNG.integers(0, 100, (6, 5, count)).astype(kind)
    planes = np.ascontiguousarray(np.moveaxis(stored, -1, 0))
    files = [npy(stored), npy(np.asfortranarray(stored)), tiff(stored, planarconfig="contig")]
    files += [tiff(planes, planarconfig="separate"), tiff(planes, planarconfig="separate", compression="lzw")]
    for data in files:
        np.testing.assert_array_equal(values_of(data), stored.astype(np.float32))


def test_a_plane_of_one_band_is_an_array():
    stored = RNG.normal(size=(4, 3))
    np.testing.assert_array_equal(values_of(npy(stored)), stored.astype(np.float32)[:, :, None])


def test_a_picture_has_bands_only_on_request():
    rgba = RNG.integers(0, 256, (4, 5, 4), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "PNG")
    assert decode.decode_all(buffer.getvalue()).bands is None
    decoded = decode.decode_all(buffer.getvalue(), ReadOptions(rgb="3,2,1"))
    np.testing.assert_array_equal(decoded.bands.values, rgba)
    np.testing.assert_array_equal(decoded.pixels, rgba[:, :, 2::-1])  # values of 8 bits are shown as they are


def test_a_color_tiff_is_a_picture():
    """Pillow reads it, with its colors; tifffile gives the same values."""
    pixels = RNG.integers(0, 256, (4, 5, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "TIFF")
    decoded = decode.decode_all(buffer.getvalue())
    assert decoded.bands is None
    np.testing.assert_array_equal(decoded.pixels, pixels)
    np.testing.assert_array_equal(values_of(buffer.getvalue(), rgb="1,2,3"), pixels)


def test_max_value_scales_to_the_range_of_pixels():
    stored = np.uint16([[[0, 100], [2000, 4095]]])
    scaled, unscaled = (decode.decode_all(npy(stored), ReadOptions(max_value=limit)).bands for limit in (4095, None))
    np.testing.assert_allclose(scaled.values, stored * (255 / 4095), rtol=1e-6)
    assert (scaled.scaled, unscaled.scaled) == (True, False)
    with pytest.raises(InputError, match=r"0\.\.4000, got 0\.\.4095"):
        decode.decode_all(npy(stored), ReadOptions(max_value=4000))


def test_the_picture_is_stretched_between_percentiles():
    """Of 0, 1, ..., 100 the percentiles 2 and 98 are 2 and 98: they become black and white."""
    ramp = np.arange(101, dtype=np.float32)
    values = np.stack([ramp, 5 * ramp + 7, np.full(101, 3.0)], axis=-1)[None]
    shown = to_rgb(Bands(values.astype(np.float32), scaled=False), "1,2,3")
    expected = np.clip((ramp - 2) * 255 / 96, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(shown[0, :, 0], expected)
    np.testing.assert_allclose(shown[0, :, 1], expected, atol=1)  # rounding
    assert set(shown[0, :, 2]) == {127}  # a constant band


@pytest.mark.parametrize(
    ("count", "rgb", "expected"), [(2, None, (0, 0, 0)), (4, None, (0, 1, 2)), (13, "5", (4, 4, 4))]
)
def test_default_bands_of_the_picture(count, rgb, expected):
    values = np.broadcast_to(np.arange(count, dtype=np.float32), (2, 2, count))
    assert tuple(to_rgb(Bands(values, scaled=True), rgb)[0, 0]) == expected


@pytest.mark.parametrize("text", ["", "0,1,2", "1,2", "1,2,3,4", "a,b,c", "-1,2,3", "1.5,2,3", "1,,3"])
def test_numbers_of_bands_are_checked(text):
    with pytest.raises(UsageError, match="rgb"):
        parse_rgb(text)


DAMAGED = {
    "truncated array": npy(np.zeros((4, 4, 5)))[:-1],
    "array header alone": b"\x93NUMPY\x01\x00",
    "array of objects": b"\x93NUMPY\x01\x00" + npy(np.zeros((1, 1, 5)))[8:].replace(b"<f8", b"|O "),
    "array of complex numbers": npy(np.zeros((2, 2, 5), np.complex64)),
    "array of one dimension": npy(np.zeros(5)),
    "array of four dimensions": npy(np.zeros((1, 2, 3, 4))),
    "empty array": npy(np.zeros((0, 2, 3))),
    "infinite": npy(np.full((2, 2, 5), np.inf)),
    "too large for float32": npy(np.full((2, 2, 5), 1e300)),
    "missing value": npy(np.float32([[[0, np.nan]]])),
    "header of a huge array": npy(np.zeros((2, 2, 5), np.uint8)).replace(b"(2, 2, 5)", b"(9999999, 9999999, 5)"),
    "truncated tiff": tiff(np.zeros((9, 9, 5), np.uint16), planarconfig="contig")[:200],
    "tiff header alone": b"II*\0\x08\0\0\0",
    "complex tiff": tiff(np.zeros((3, 3, 5), np.complex64), planarconfig="contig"),
    "turned tiff": tiff(np.zeros((3, 3, 5), np.uint8), planarconfig="contig", extratags=[(274, 3, 1, 6, True)]),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_files_are_refused_in_one_line(data):
    with pytest.raises(InputError) as caught:
        decode.decode_all(data)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "data",
    [npy(np.zeros((10, 10, 5), np.uint8)), tiff(np.zeros((10, 10, 5), np.uint8), planarconfig="contig")],
    ids=["npy", "tiff"],
)
def test_too_many_values_are_refused_by_the_header(data):
    small = ReadOptions(150)
    for read in (lambda: decode.memory_to_decode(io.BytesIO(data), small), lambda: decode.decode_all(data, small)):
        with pytest.raises(InputError, match=r"at most 150 pixels and 450 values, got 10x10 with 5 bands"):
            read()


def test_without_tifffile_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match="requires the package tifffile") as caught:
        decode.decode_all(tiff(np.zeros((3, 3, 5), np.uint8), planarconfig="contig"))
    assert caught.value.hint == "pip install 'gradcam-cli[tiff]'"


def test_bands_are_resized_as_pictures_are():
    """Bilinear, with the same box; a picture's values are rounded to integers."""
    pixels = RNG.integers(0, 256, (30, 20, 3), np.uint8)
    for box in (Box(0, 0, 20, 30), Box(3, 4, 17, 25)):
        resized = resize_bands(pixels.astype(np.float32), box, (8, 9))
        assert np.abs(resized - resize_to_input(pixels, box, (8, 9))).max() <= 1
    np.testing.assert_array_equal(resize_bands(pixels.astype(np.float32), Box(0, 0, 20, 30), (30, 20)), pixels)


def test_outside_the_image_a_band_has_its_mean():
    values = np.float32([[[1, 10], [3, 30]]])  # (1, 2, 2)
    padded = resize_bands(values, Box(0, -1, 2, 1), (2, 2))
    np.testing.assert_array_equal(padded, [[[2, 20], [2, 20]], [[1, 10], [3, 30]]])


def test_dropped_and_pickled_images_keep_their_bands(tmp_path, monkeypatch):
    stored = RNG.normal(size=(6, 7, 5)).astype(np.float32)
    np.save(tmp_path / "image.npy", stored)
    image = load_image(Source(str(tmp_path / "image.npy")), ReadOptions(rgb="5,4,3"))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image)).decoded().bands.values, stored)
    monkeypatch.setattr(load, "MAX_PICKLED_BYTES", 10)
    again = pickle.loads(pickle.dumps(image))
    np.testing.assert_array_equal(again.decoded().bands.values, stored)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    np.save(tmp_path / "image.npy", stored + 1)
    with pytest.raises(InputError, match="changed"):
        again.decoded()
