"""Films and montages: frames with their maps, the curve over time, GIF and MP4 files."""

import io

import numpy as np
import pytest
from PIL import Image
from shown_inputs import numbered_slices, shown

from gradcam_cli.errors import UsageError
from gradcam_cli.images.encode import read_comment
from gradcam_cli.output import packages
from gradcam_cli.output.animations import read_mp4_comment
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.packages import MP4, require_package
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import film, stack
from gradcam_cli.output.views.labels import picture_numbers

RENDER = RenderOptions(dpi=60)
BAR = ColorBar(2.0, 2.0, "gradcam (logit)", RENDER)


def growing_film(count=5, size=(60, 80), spacing=(0.25, 0.0, 0.0)):
    """Gray frames; the map of frame t covers t columns from the left."""
    pixels = np.full((count, *size, 3), 100, np.uint8)
    heatmap = np.zeros((count, *size))
    for t in range(count):
        heatmap[t, :, : 10 * t] = t / (count - 1) if count > 1 else 1
    return shown(pixels, heatmap, "film", spacing)


def test_each_frame_of_a_gif_has_its_own_map():
    each = growing_film()
    with Image.open(io.BytesIO(stack.encode_film(each, RENDER))) as gif:
        assert (gif.n_frames, gif.size) == (5, (480, 360))
        for t in range(5):
            gif.seek(t)
            decoded = np.asarray(gif.convert("RGB"))[3::6, 3::6].astype(int)
            expected = overlay(each.pixels[t], each.heatmap[t], each.slice(0, t).crop_box, RENDER)
            edges = np.arange(max(10 * t - 1, 0), 10 * t + 1)  # the enlarged map is smooth there
            assert np.delete(np.abs(decoded - expected), edges, axis=1).max() <= 2
            assert gif.info["duration"] == 250


def test_gif_frames_keep_the_duration_of_the_film():
    """30 frames a second are 3, 3 and 4 hundredths in turn."""
    each = numbered_slices((9, 24, 16), "film", (1 / 30, 0, 0))
    with Image.open(io.BytesIO(stack.encode_film(each, RENDER))) as gif:
        durations = []
        for t in range(9):
            gif.seek(t)
            durations.append(gif.info["duration"])
    assert sum(durations) == 300
    assert {*durations} == {30, 40}


def test_long_gifs_are_thinned_and_keep_their_duration(monkeypatch):
    monkeypatch.setattr(stack, "MAX_GIF_FRAMES", 3)
    with Image.open(io.BytesIO(stack.encode_film(growing_film(9), RENDER))) as gif:
        assert (gif.n_frames, gif.info["duration"]) == (3, 750)


def test_mp4_has_all_frames():
    av = pytest.importorskip("av")
    each = growing_film(size=(45, 61))
    data = stack.encode_film(each, RENDER, "mp4", "a comment")
    assert data == stack.encode_film(each, RENDER, "mp4", "a comment")
    assert read_mp4_comment(data) == "a comment"
    with av.open(io.BytesIO(data), format="mov") as file:
        assert file.streams.video[0].average_rate == 4
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    assert len(frames) == 5
    assert {side % 2 for frame in frames for side in frame.shape[:2]} == {0}
    for t, frame in enumerate(frames):  # compressed: the color of the left edge is that of the map, about
        expected = overlay(each.pixels[t], each.heatmap[t], each.slice(0, t).crop_box, RENDER)[22, 4]
        assert np.abs(frame[330, 60].astype(int) - expected).max() < 12


def test_mp4_requires_a_package(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="MP4 files require the package av") as caught:
        require_package(*MP4)
    assert caught.value.hint == "pip install 'gradcam-cli[film]'"


def test_gifs_carry_a_comment_and_are_reproducible():
    each = numbered_slices()
    comment = "x" * 1000
    data = stack.encode_film(each, RENDER, comment=comment)
    assert data == stack.encode_film(each, RENDER, comment=comment)
    assert read_comment(data[:130_000]) == comment


def test_the_curve_is_the_mean_and_the_largest_value_of_each_frame():
    """In the units of the map, whose largest value is 2: frame t covers 10 t of 80 columns with t / 4."""
    figure = film.figure(growing_film(), ["a.mp4"], BAR, RENDER)
    largest, mean = figure.axes[0].lines[:2]
    assert np.allclose(largest.get_xdata(), [0, 0.25, 0.5, 0.75, 1])
    assert np.allclose(largest.get_ydata(), [0, 0.5, 1, 1.5, 2])
    assert np.allclose(mean.get_ydata(), [2 * t / 4 * t / 8 for t in range(5)])
    assert figure.axes[0].get_xlabel() == "time (s)"
    labels = [axes.texts[0].get_text() for axes in figure.axes[1:6]]
    assert labels == ["0 (0 s)", "1 (0.25 s)", "2 (0.5 s)", "3 (0.75 s)", "4 (1 s) · peak"]
    assert encode_figure(figure) == encode_figure(film.figure(growing_film(), ["a.mp4"], BAR, RENDER))


def test_the_frame_of_the_peak_is_in_the_strip():
    each = numbered_slices((100, 24, 16), "film", peak=(37, 2, 2))
    labels = [axes.texts[0].get_text() for axes in film.figure(each, ["a"], BAR, RENDER).axes[1:9]]
    assert labels == ["0", "14", "28", "37 · peak", "57", "71", "85", "99"]


def test_panels_are_the_frame_of_the_peak():
    each = numbered_slices(kind="film", peak=(7, 5, 11))
    assert film.image_panel(each, 48)[0, 0].tolist() == [140] * 3
    assert film.map_panel(each, 48, RENDER).shape == (48, 32, 3)


@pytest.mark.parametrize(("length", "at_most", "peak", "numbers"), [
    (5, 8, 3, [0, 1, 2, 3, 4]), (9, 3, None, [0, 4, 8]), (9, 3, 5, [0, 5, 8]), (1, 8, 0, [0]),
])  # fmt: skip
def test_numbers_of_pictures(length, at_most, peak, numbers):
    assert picture_numbers(length, at_most, peak) == numbers


@pytest.mark.parametrize(("length", "pictures", "note"), [(9, 9, False), (64, 64, False), (65, 64, True)])
def test_a_montage_has_up_to_64_slices(length, pictures, note):
    each = numbered_slices((length, 24, 16), peak=(6, 5, 11), spacing=(2.0, 1.0, 1.0))
    figure = stack.montage(each, ["a.nii"], BAR, RENDER)
    assert len(figure.axes) == pictures + 1
    assert figure.axes[6].texts[0].get_text() in ("6 (12 mm) · peak", "6 · peak")  # in narrow pictures
    assert figure.axes[6].images[0].get_array()[0, 0].tolist() == [120] * 3
    assert ("64 of 65 slices" in [text.get_text() for text in figure.texts]) == note
    boxes = np.array([axes.get_position().extents for axes in figure.axes])
    assert boxes.min() >= 0
    assert boxes.max() <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 500])
def test_films_of_any_length(count):
    assert film.figure(growing_film(count, (9, 12)), ["a"], BAR, RENDER).axes
