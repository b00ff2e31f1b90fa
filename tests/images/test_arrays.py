"""Arrays of signals, volumes and films, in files: their axes, their values, and their limits."""

import io

import numpy as np
import pytest

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.axes import arrange, require_axes_of
from gradcam_cli.images.input_files import decode_input, memory_to_decode
from gradcam_cli.images.read_options import ReadOptions

SIGNAL, VOLUME = ReadOptions(rank=1), ReadOptions(rank=3)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def test_a_signal_reaches_the_model_as_it_is_stored():
    stored = np.int16([[1, -2], [3, 4], [-500, 6]])
    for data in (npy(stored), npz(ecg=stored)):
        decoded = decode_input(data, "", SIGNAL)
        assert decoded.space.kind == "signal"
        np.testing.assert_array_equal(decoded.pixels, stored.astype(np.float32))
        assert decoded.bands.values is decoded.pixels
        assert not decoded.bands.scaled
    np.testing.assert_array_equal(decode_input(npy(stored[:, 0]), "", SIGNAL).pixels, [[1], [3], [-500]])


def test_a_volume_is_shown_in_gray_and_keeps_its_values():
    stored = np.arange(101, dtype=np.float64).reshape(1, 1, 101)
    decoded = decode_input(npy(stored), "", VOLUME)
    assert (decoded.space.kind, decoded.pixels.shape, decoded.bands.scaled) == ("volume", (1, 1, 101, 3), False)
    np.testing.assert_array_equal(decoded.bands.values[0, 0, :, 0], np.arange(101))
    expected = np.clip((np.arange(101) - 2) * 255 / 96, 0, 255)  # the percentiles 2 and 98
    np.testing.assert_allclose(decoded.pixels[0, 0, :, 1], expected, atol=0.51)


def test_a_window_scales_the_values_of_volumes_and_of_images():
    """Of center 40 and width 400, -160 becomes 0, 40 becomes 127.5, and 240 becomes 255."""
    stored = np.int16([[[-1000, -160, 40], [240, 3000, 140]]])
    expected = [[0, 0, 127.5], [255, 255, 191.25]]
    volume = decode_input(npy(stored), "", VOLUME._replace(window=(40, 400)))
    image = decode_input(npy(stored[0]), "", ReadOptions(window=(40, 400)))
    for decoded in (volume, image):
        assert decoded.bands.scaled
        np.testing.assert_allclose(decoded.bands.values.reshape(2, 3), expected, atol=1e-4)
        np.testing.assert_allclose(decoded.pixels.reshape(2, 3, 3)[..., 0], expected, atol=0.51)


def test_frames_of_8_bits_are_pictures():
    frames = np.arange(48, dtype=np.uint8).reshape(2, 2, 4, 3)
    for data, options in ((npy(frames), VOLUME), (npy(np.moveaxis(frames, -1, 0)), VOLUME._replace(axes="CTHW"))):
        decoded = decode_input(data, "", options)
        assert (decoded.space.kind, decoded.bands) == ("film", None)
        np.testing.assert_array_equal(decoded.pixels, frames)
    gray = decode_input(npy(frames[..., 0]), "", VOLUME._replace(axes="THW"))
    np.testing.assert_array_equal(gray.pixels, np.stack([frames[..., 0]] * 3, axis=-1))
    read = decode_input(npy(frames), "", VOLUME._replace(rgb="3,2,1"))
    np.testing.assert_array_equal(read.bands.values, frames)


def test_frames_of_other_values_are_bands():
    frames = np.float32([0.25, 0.5]).reshape(2, 1, 1, 1)
    decoded = decode_input(npy(frames), "", VOLUME._replace(axes="THWC"))
    assert decoded.space.kind == "film"
    np.testing.assert_array_equal(decoded.bands.values, frames)


@pytest.mark.parametrize(
    ("axes", "rank", "shape", "kind"),
    [
        (None, 1, (5, 4), "signal"),
        ("CT", 1, (4, 5), "signal"),
        (None, 2, (6, 5, 4), "image"),
        ("CHW", 2, (4, 6, 5), "image"),
        ("WH", 2, (5, 6), "image"),
        (None, 3, (7, 6, 5, 4), "volume"),
        ("WHD", 3, (5, 6, 7), "volume"),
        ("CTHW", 3, (4, 7, 6, 5), "film"),
        ("HWTC", 3, (6, 5, 7, 4), "film"),
    ],
)
def test_order_of_the_axes(axes, rank, shape, kind):
    """The value at each place is its index along the axes of the model, so each order gives the same array."""
    lengths = {1: (5,), 2: (6, 5), 3: (7, 6, 5)}[rank]
    full = (*lengths, 4 if len(shape) == rank + 1 else 1)
    expected = np.arange(np.prod(full), dtype=np.int32).reshape(full)
    letters = {"signal": "T", "image": "HW", "volume": "DHW", "film": "THW"}[kind] + "C"
    stored = expected if full[-1] > 1 else expected[..., 0]
    if axes:
        stored = stored.transpose([letters.index(letter) for letter in axes])
    assert stored.shape == shape
    arranged, got = arrange(stored, axes, rank)
    assert got == kind
    np.testing.assert_array_equal(arranged, expected)


@pytest.mark.parametrize(("axes", "rank"), [("CHW", 1), ("HW", 3), ("TDHW", 3), ("C", 1), ("THWC", 2)])
def test_axes_of_another_rank_are_refused(axes, rank):
    with pytest.raises(UsageError, match=rf"axes: expected {rank} of the letters TDHW"):
        require_axes_of(axes, rank)


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((3, 4, 5)), SIGNAL, r"\(T,\) or \(T, channels\), got \(3, 4, 5\)"),
        (np.zeros(7), ReadOptions(), r"\(H, W\) or \(H, W, bands\), got \(7,\)"),
        (np.zeros((3, 4)), VOLUME, r"\(D, H, W\) or \(D, H, W, channels\), got \(3, 4\)"),
        (np.zeros((3, 4, 5)), VOLUME._replace(axes="CDHW"), r"got \(3, 4, 5\)"),
        (np.zeros((0, 4, 5)), VOLUME, r"array of numbers, got \(0, 4, 5\)"),
        (np.zeros(4, complex), SIGNAL, "expected an array of bool, int"),
        (np.float32([1, np.nan]), SIGNAL, "finite values"),
        (np.full((1, 1, 2), np.inf), VOLUME, "finite values"),
        (np.array(["a"]), SIGNAL, "array of numbers"),
        (np.full((1, 1, 2), 300), VOLUME._replace(max_value=255), r"0\.\.255, got 300"),
    ],
)
def test_other_arrays_are_refused(array, options, message):
    for data in (npy(array), npz(x=array)):
        with pytest.raises(InputError, match=message) as caught:
            decode_input(data, "", options)
        assert "\n" not in caught.value.message


def test_an_archive_has_one_array():
    with pytest.raises(InputError, match=r"one array in the .npz file, got a, b"):
        decode_input(npz(a=np.zeros(3), b=np.zeros(3)), "", SIGNAL)
    with pytest.raises(InputError, match="not a signal: an archive without arrays"):
        decode_input(npz(), "", SIGNAL)


@pytest.mark.parametrize("data", [npz(x=np.zeros((10, 10, 5), np.uint8)), npy(np.zeros((10, 10, 5), np.uint8))])
def test_the_size_is_checked_by_the_header(data):
    for rank, got in ((2, "10x10 with 5 bands"), (3, "10x10x5 with 1 bands")):
        options = ReadOptions(max_pixels=150, rank=rank)
        for read in (
            lambda o=options: memory_to_decode(io.BytesIO(data), "", o),
            lambda o=options: decode_input(data, "", o),
        ):
            with pytest.raises(InputError, match=f"at most 150 pixels and 450 values, got {got}"):
                read()


def test_an_archive_that_decompresses_to_much_is_refused():
    data = npz(x=np.zeros(4_000_000))
    assert len(data) < 100_000
    with pytest.raises(InputError, match=r"expected at most .* decompressed bytes"):
        decode_input(data, "", ReadOptions(max_pixels=1000, rank=1))


@pytest.mark.parametrize("cut", [10, 60, -1, -30])
def test_truncated_files_are_refused(cut):
    for data in (npy(np.zeros(50)), npz(x=np.zeros(50))):
        with pytest.raises(InputError) as caught:
            decode_input(data[:cut], "", SIGNAL)
        assert "\n" not in caught.value.message
