"""Images of a Python program: each kind gives the same pixels, and ambiguous ones are refused."""

import io

import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from PIL import Image

from gradcam_cli.images.batches import count_images
from gradcam_cli.images.in_memory import ImageReader
from gradcam_cli.images.load import Failure, LoadedImage
from gradcam_cli.images.read_options import ReadOptions

RGB = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
RGB[0, 0] = 0, 128, 255


def pixels(image, channels=3, **options):
    result = ImageReader((8, 8, channels), ReadOptions(**options)).read(image)
    assert isinstance(result, LoadedImage), result
    return result.pixels


def failure(image, channels=3, **options):
    result = ImageReader((8, 8, channels), ReadOptions(**options)).read(image)
    assert isinstance(result, Failure)
    return result


def png(array, **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: RGB, id="uint8"),
        pytest.param(lambda path: RGB[None], id="batch of one"),
        pytest.param(lambda path: RGB / 255, id="float 0..1"),
        pytest.param(lambda path: RGB.astype(np.float32), id="float 0..255"),
        pytest.param(lambda path: tf.constant(RGB), id="tensor"),
        pytest.param(lambda path: tf.constant(RGB[None], tf.float32), id="batched float tensor"),
        pytest.param(lambda path: ops.convert_to_tensor(RGB), id="keras tensor"),
        pytest.param(lambda path: str(path), id="text"),
        pytest.param(lambda path: path, id="path"),
        pytest.param(lambda path: path.read_bytes(), id="bytes"),
        pytest.param(lambda path: bytearray(path.read_bytes()), id="bytearray"),
        pytest.param(lambda path: io.BytesIO(path.read_bytes()), id="memory file"),
        pytest.param(lambda path: path.open("rb"), id="file"),
        pytest.param(lambda path: Image.fromarray(RGB), id="pillow"),
        pytest.param(lambda path: Image.open(path), id="pillow file"),
    ],
)
def test_every_kind_gives_the_same_pixels(make, tmp_path):
    path = tmp_path / "image.png"
    path.write_bytes(png(RGB))
    np.testing.assert_array_equal(pixels(make(path)), RGB)


def test_gray_and_transparent_arrays():
    gray = RGB[..., 0]
    for array in (gray, gray[..., None], gray / 255, gray[None, ..., None]):
        np.testing.assert_array_equal(pixels(array), np.stack([gray] * 3, axis=2))
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(pixels(rgba), RGB)
    rgba[..., 3] = 0
    assert (pixels(rgba) == 255).all()  # transparent pixels are white, as in a file
    np.testing.assert_array_equal(pixels(Image.fromarray(rgba)), pixels(png(rgba)))
    half = np.array([[[1.0, 0.0, 0.0, 0.5]]], np.float32)  # 0.5 red + 0.5 white
    np.testing.assert_allclose(pixels(half)[0, 0], [255, 127, 127], atol=1)


def test_pillow_images_are_read_as_their_file():
    """The orientation and 16-bit values; the image of the caller stays as it is."""
    exif = Image.Exif()
    exif[274] = 6  # rotated by 90 degrees
    data = png(RGB, exif=exif)
    opened = Image.open(io.BytesIO(data))
    np.testing.assert_array_equal(pixels(opened), np.rot90(RGB, 3))
    np.testing.assert_array_equal(pixels(opened), pixels(data))
    assert opened.size == (5, 6)
    deep = Image.fromarray(np.array([[0, 65535], [32768, 257]], np.uint16))
    np.testing.assert_array_equal(pixels(deep)[..., 0], [[0, 255], [128, 1]])


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([0.0, 128.4, 255.0], [0, 128, 255]), ([0.0, 3.0, 2.6], [0, 3, 3])],
)
def test_the_largest_value_shows_the_range_of_floats(values, expected):
    image = ImageReader((8, 8, 3)).read(np.array([[values]]))
    assert image.pixels[0, 0].tolist() == expected
    white = 1 if max(values) <= 1 else 255
    assert image.note.text == f"array: float64 values were read as 0 (black) to {white} (white)"


def test_max_value_gives_the_value_of_white():
    values = np.array([[[0, 2048, 4095]]])
    for array in (values, values.astype(np.uint16), values.astype(np.float32)):
        assert pixels(array, max_value=4095)[0, 0].tolist() == [0, 128, 255]
    assert pixels(np.full((1, 1, 3), 1.5), max_value=255)[0, 0].tolist() == [2, 2, 2]
    assert "expected pixel values in 0..100, got 0..4095" in failure(values, max_value=100).error


def test_float_images_of_one_reader_have_one_range():
    """A dark image after bright ones of 0..255 is dark; it would be bright if its own largest value decided."""
    reader = ImageReader((8, 8, 3))
    reader.read(np.full((1, 1, 3), 200.0))
    assert reader.read(np.full((1, 1, 3), 1.0)).pixels.max() == 1
    reader = ImageReader((8, 8, 3))
    reader.read(np.full((1, 1, 3), 0.5))
    assert "expected pixel values in 0..1, got 20..20" in reader.read(np.full((1, 1, 3), 20.0)).error


def test_a_model_of_other_channels_reads_bands():
    bands = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    for array in (bands, bands[None]):
        image = ImageReader((8, 8, 4)).read(array)
        np.testing.assert_array_equal(image.decoded().bands.values, bands)
    assert "(H, W, 4), got (4, 2, 3)" in failure(np.moveaxis(bands, -1, 0), 4).error


@pytest.mark.parametrize(
    ("image", "error", "hint"),
    [
        (np.full((2, 2, 3), 1.5), r"0..1 or 0..255, got 1.5..1.5, which may be either", "max_value=255"),
        (np.full((2, 2, 3), -0.5), r"0..1 or 0..255, got -0.5..-0.5", "before its preprocessing"),
        (np.full((2, 2, 3), 300.0), r"0..1 or 0..255, got 300..300", "max_value"),
        (np.full((2, 2, 3), np.nan), "finite pixel values, got NaN", None),
        (np.zeros((2, 2, 3), np.int64), "uint8 or float, got int64", "astype"),
        (np.zeros((2, 2, 3), bool), "uint8 or float, got bool", "astype"),
        (np.zeros((8, 6, 5, 3), np.uint8), r"one image, got a batch \(8, 6, 5, 3\)", "explain_many"),
        (np.zeros((3, 6, 5), np.uint8), r"\(H, W, 3\), .* got \(3, 6, 5\)", "channels come first"),
        (np.zeros((1, 3, 6, 5), np.uint8), r"got \(1, 3, 6, 5\)", "channels come first"),
        (np.zeros((8, 6, 5), np.uint8), r"got \(8, 6, 5\)", "one image of a batch"),
        (np.zeros((6, 5, 2), np.uint8), r"got \(6, 5, 2\)", None),
        (np.zeros((0, 5, 3), np.uint8), r"got \(0, 5, 3\)", None),
        (np.zeros(4, np.uint8), r"got \(4,\)", None),
        (np.array([["a"]]), "array of numbers", None),
        (np.dstack([np.full((2, 2, 3), 99.0), np.ones((2, 2, 1))]), "colors of 0..255 and an opacity of 0..1", None),
        ([RGB], "expected a path, .* got list", "explain_many"),
        ((RGB, 3), "expected a path, .* got tuple", "without its label"),
        ({"image": RGB}, "expected a path, .* got dict", "without its label"),
        (None, "got NoneType", None),
        (b"", "the file is empty", None),
        (b"no image", "unknown format", None),
        (io.StringIO("text"), "a binary file, got one of str", "rb"),
        (tf.keras.Input((6, 5, 3)), "a tensor with values, got KerasTensor", None),
    ],
)
def test_ambiguous_and_wrong_images_are_refused(image, error, hint):
    failed = failure(image)
    with pytest.raises(ValueError, match=error):
        raise ValueError(failed.error)
    if hint:
        assert hint in (failed.hint or "")


def test_an_array_is_copied():
    """A program that reads a video may write the next frame into the same array."""
    frame = RGB.copy()
    read = pixels(frame)
    frame[:] = 0
    np.testing.assert_array_equal(read, RGB)


@pytest.mark.parametrize(
    ("images", "count"),
    [
        ([RGB, RGB], 2),
        (np.zeros((5, 6, 5, 3)), 5),
        (np.array(["a.png", "b.png"]), 2),
        ([np.zeros((5, 6, 5, 3)), np.zeros((4, 6, 5, 3))], None),
        (iter([RGB]), None),
        (tf.data.Dataset.from_tensor_slices(np.zeros((4, 6, 5, 3))).batch(2), None),
        ([], 0),
    ],
)
def test_number_of_images_before_they_are_read(images, count):
    assert count_images(images) == count
