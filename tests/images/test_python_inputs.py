"""Signals, volumes and films of a Python program: arrays with and without a batch, and batches of them."""

import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.images.batches import count_images, read_images, require_several
from gradcam_cli.images.in_memory import ImageReader
from gradcam_cli.images.load import Failure
from gradcam_cli.images.read_options import ReadOptions

RNG = np.random.default_rng(0)
SIGNAL, VOLUME = RNG.normal(size=(9, 2)).astype(np.float32), RNG.normal(size=(4, 6, 5, 1)).astype(np.float32)
FRAMES = RNG.integers(0, 256, (4, 6, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("array", "shape", "expected", "kind"),
    [
        (SIGNAL, (16, 2), SIGNAL, "signal"),
        (SIGNAL[None], (16, 2), SIGNAL, "signal"),
        (SIGNAL[:, 0], (16, 1), SIGNAL[:, :1], "signal"),
        (tf.constant(SIGNAL), (16, 2), SIGNAL, "signal"),
        (np.int64([3, -4]), (16, 1), [[3], [-4]], "signal"),
        (VOLUME, (8, 8, 8, 1), VOLUME, "volume"),
        (VOLUME[..., 0], (8, 8, 8, 1), VOLUME, "volume"),
        (VOLUME[None], (8, 8, 8, 1), VOLUME, "volume"),
    ],
)
def test_values_reach_the_model_as_they_are(array, shape, expected, kind):
    read = ImageReader(shape).read(array)
    assert read.space.kind == kind
    np.testing.assert_array_equal(read.decoded().bands.values, expected)
    assert not read.decoded().bands.scaled


def test_frames_of_8_bits_are_a_film():
    for array in (FRAMES, FRAMES[None]):
        film = ImageReader((8, 8, 8, 3)).read(array)
        assert (film.space.kind, film.decoded().bands) == ("film", None)
        np.testing.assert_array_equal(film.pixels, FRAMES)


def test_a_folder_of_frames_is_a_film(tmp_path):
    for number, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
    np.testing.assert_array_equal(ImageReader((8, 8, 8, 3)).read(tmp_path).pixels, FRAMES)
    assert "Is a directory" in ImageReader((8, 8, 3)).read(tmp_path).error


def test_axes_and_window_of_arrays():
    reader = ImageReader((8, 8, 8, 1), ReadOptions(axes="WHD", window=(0, 2)))
    volume = reader.read(VOLUME[..., 0].T)
    np.testing.assert_allclose(volume.decoded().bands.values, np.clip((VOLUME + 1) * 127.5, 0, 255), atol=1e-4)
    bands = np.arange(24.0, dtype=np.float32).reshape(4, 2, 3)
    image = ImageReader((8, 8, 4), ReadOptions(axes="CHW")).read(bands)
    np.testing.assert_array_equal(image.decoded().bands.values, np.moveaxis(bands, 0, -1))
    photo = RNG.integers(0, 256, (3, 6, 5), np.uint8)
    np.testing.assert_array_equal(
        ImageReader((8, 8, 3), ReadOptions(axes="CHW")).read(photo).pixels, np.moveaxis(photo, 0, -1)
    )


@pytest.mark.parametrize(
    ("value", "shape", "error"),
    [
        (np.zeros((4, 9, 2)), (16, 2), r"got a batch \(4, 9, 2\)"),
        (np.zeros((3, 4)), (8, 8, 8, 1), r"\(D, H, W\) or \(D, H, W, channels\), got \(3, 4\)"),
        (np.zeros((6, 5, 4, 3)), (16, 2), r"\(T,\) or \(T, channels\), got \(6, 5, 4, 3\)"),
        (np.zeros(4, complex), (16, 1), "array of numbers, got complex128"),
        (np.float32([0, np.nan]), (16, 1), "finite values"),
        (Image.new("RGB", (5, 4)), (16, 1), "a file or an array, got a Pillow image of 5x4"),
    ],
)
def test_other_values_are_refused(value, shape, error):
    read = ImageReader(shape).read(value)
    assert isinstance(read, Failure)
    assert re.search(error, read.error), read.error


def test_an_array_is_copied():
    for array, shape in ((SIGNAL, (16, 2)), (VOLUME, (8, 8, 8, 1)), (FRAMES, (8, 8, 8, 3))):
        changed = array.copy()
        read = ImageReader(shape).read(changed)
        pixels = read.pixels.copy()
        values = read.decoded().bands.values.copy() if read.decoded().bands else None
        changed[:] = 0
        np.testing.assert_array_equal(read.pixels, pixels)
        assert values is None or (read.decoded().bands.values == values).all()


@pytest.mark.parametrize(("one", "shape"), [(SIGNAL, (16, 2)), (VOLUME, (8, 8, 8, 1))])
def test_batches_are_read_one_by_one(one, shape):
    reader, batch = ImageReader(shape), np.stack([one, one + 1, one + 2])
    for images in (batch, list(batch), [batch[:2], batch[2:]], tf.data.Dataset.from_tensor_slices(batch).batch(2)):
        read = list(read_images(images, reader))
        assert [each.name for each in read] == ["images[0]", "images[1]", "images[2]"]
        for i, each in enumerate(read):
            np.testing.assert_array_equal(each.decoded().bands.values, batch[i])
    assert count_images(batch, len(shape) - 1) == 3


@pytest.mark.parametrize(
    ("array", "shape", "expected"),
    [
        (SIGNAL, (16, 2), r"\(n, T, 2\), got an array \(9, 2\)"),
        (SIGNAL[:, 0], (16, 1), r"\(n, T, 1\), got an array \(9,\)"),
        (VOLUME, (8, 8, 8, 1), r"\(n, D, H, W, 1\), got an array \(4, 6, 5, 1\)"),
    ],
)
def test_one_input_is_no_batch(array, shape, expected):
    with pytest.raises(UsageError, match=expected):
        require_several(array, shape)


def test_signals_without_channels_are_a_batch():
    require_several(SIGNAL.T, (16, 1))
    read = list(read_images(SIGNAL.T, ImageReader((16, 1))))
    np.testing.assert_array_equal(read[1].pixels[:, 0], SIGNAL[:, 1])
