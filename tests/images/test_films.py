"""Films: frames and their times, of animations, videos and folders of frames."""

import io
import sys

import numpy as np
import pytest
from film_files import VIDEOS, animation, square_film, video
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images import films
from gradcam_cli.images.damage import input_errors
from gradcam_cli.images.films import SINGLE_FRAME, read_film, read_frames
from gradcam_cli.images.read_options import ReadOptions

OPTIONS = ReadOptions(rank=3)
FILM = square_film()


def png(pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def folder(frames):
    return [(f"{i}.png", lambda frame=frame: png(frame)) for i, frame in enumerate(frames)]


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("GIF", {"disposal": 2}), ("PNG", {"disposal": 1})],
)
def test_frames_of_an_animation(kind, options):
    """All its frames, every 40 ms; the colors are exact."""
    film = read_film(animation(FILM, kind, **options), OPTIONS)
    assert np.array_equal(film.pixels, FILM)
    assert film.bands is None
    assert (film.space.kind, film.space.spacing) == ("film", (0.04, 0, 0))


def test_a_single_frame_is_a_film_with_a_note():
    """A photo is not taken for a film in silence; of two frames there is nothing to say."""
    stills, films = io.BytesIO(), io.BytesIO()
    frames = [Image.new("RGB", (5, 4), (40 * i, 0, 0)) for i in range(2)]
    frames[0].save(stills, "PNG")
    frames[0].save(films, "GIF", save_all=True, append_images=frames[1:])
    assert read_film(stills.getvalue(), OPTIONS).note == SINGLE_FRAME
    assert read_film(films.getvalue(), OPTIONS).note is None
    assert read_frames([("0.png", stills.getvalue)], OPTIONS).note == SINGLE_FRAME
    assert read_frames([("0.png", stills.getvalue)] * 2, OPTIONS).note is None


def test_transparent_pixels_are_white():
    """As in photos; a frame is drawn over the one before it, or over nothing after disposal 2."""
    frames = []
    for column in (0, 1):
        frame = Image.new("RGBA", (2, 1))
        frame.putpixel((column, 0), (255, 0, 0, 255))
        frames.append(frame)
    red, white = [255, 0, 0], [255, 255, 255]
    assert read_film(animation(frames, disposal=2), OPTIONS).pixels.tolist() == [[[red, white]], [[white, red]]]
    drawn = animation(frames, "PNG", blend=1)
    assert read_film(drawn, OPTIONS).pixels.tolist() == [[[red, white]], [[red, red]]]
    half = Image.new("RGBA", (1, 1), (0, 0, 0, 51))
    assert read_film(animation([half, half.rotate(90)], "PNG"), OPTIONS).pixels[0, 0, 0].tolist() == [204, 204, 204]


def test_frames_of_different_durations_have_no_spacing():
    assert read_film(animation(FILM, duration=[40, 40, 40, 40, 40, 90]), OPTIONS).space.spacing == ()
    assert read_film(animation(FILM, duration=0), OPTIONS).space.spacing == ()


@pytest.mark.parametrize("kind", VIDEOS)
def test_frames_of_a_video(kind):
    """All its frames at 10 a second; the codecs change colors by a few levels, more at the edges."""
    pytest.importorskip("av")
    film = read_film(video(FILM, kind), OPTIONS)
    assert film.pixels.shape == FILM.shape
    assert film.space.spacing == pytest.approx((0.1, 0, 0))
    for t, frame in enumerate(film.pixels.astype(int)):
        inner = frame[10:18, 4 * t + 2 : 4 * t + 10]
        assert abs(inner - (230, 200, 40)).max() < 25
        assert abs(frame[24:, :] - (10, 20, 90)).max() < 25


def test_frames_at_uneven_times_have_no_spacing():
    pytest.importorskip("av")
    assert read_film(video(FILM, "matroska", times=[0, 1, 2, 3, 9, 10]), OPTIONS).space.spacing == ()
    assert read_film(video(FILM, "matroska", times=[0, 2, 4, 6, 8, 10]), OPTIONS).space.spacing[0] == pytest.approx(0.2)


def test_a_video_is_turned_as_its_file_says():
    """The matrix of a track of an MP4 file that was filmed upright: its pictures are turned clockwise."""
    pytest.importorskip("av")
    data = video(FILM)
    track = data.index(b"tkhd") + 44
    quarter = b"".join(n.to_bytes(4, "big", signed=True) for n in (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30))
    turned = read_film(data[:track] + quarter + data[track + 36 :], OPTIONS).pixels
    assert np.array_equal(turned, np.rot90(read_film(data, OPTIONS).pixels, -1, axes=(1, 2)))


def test_a_folder_of_frames():
    film = read_frames(folder(FILM), OPTIONS)
    assert np.array_equal(film.pixels, FILM)
    assert (film.bands, film.space.kind, film.space.spacing) == (None, "film", ())


def test_frames_of_16_bits_are_scaled_as_photos_are():
    frames = [np.full((2, 3), value, np.uint16) for value in (0, 2000, 4000)]
    assert read_frames(folder(frames), OPTIONS).pixels[:, 0, 0, 0].tolist() == [0, 8, 16]
    scaled = read_frames(folder(frames), OPTIONS._replace(max_value=4000))
    assert scaled.pixels[:, 0, 0, 0].tolist() == [0, 128, 255]


def test_frames_of_bands_keep_their_values():
    arrays = [np.full((2, 3, 4), t, np.float32) for t in range(3)]

    def npy(array):
        buffer = io.BytesIO()
        np.save(buffer, array)
        return buffer.getvalue()

    frames = [(f"{t}.npy", lambda array=array: npy(array)) for t, array in enumerate(arrays)]
    film = read_frames(frames, OPTIONS)
    assert np.array_equal(film.bands.values, np.stack(arrays))
    assert not film.bands.scaled
    with pytest.raises(InputError, match=r"0.png: expected the bands and the type of values of the first frame"):
        read_frames([*frames, *folder([np.zeros((2, 3), np.uint8)])], OPTIONS)


def test_frames_must_have_one_size():
    frames = [*FILM[:2], FILM[2][:, :-1]]
    with pytest.raises(InputError, match=r"2.png: expected a frame of 48x32 pixels, got 47x32"):
        read_frames(folder(frames), OPTIONS)
    with pytest.raises(InputError, match="at least one frame"):
        read_frames([], OPTIONS)


def test_a_damaged_frame_is_named():
    with pytest.raises(InputError, match=r"^b.png: not an image"):
        read_frames([*folder(FILM[:1]), ("b.png", lambda: b"text")], OPTIONS)


@pytest.mark.parametrize("make", [lambda: animation(FILM), lambda: animation(FILM, "WEBP"), lambda: video(FILM)])
def test_the_pixels_of_all_frames_are_limited(make):
    if make().startswith(b"\0\0\0"):
        pytest.importorskip("av")
    pixels = FILM.size // 3
    assert len(read_film(make(), OPTIONS._replace(max_pixels=pixels)).pixels) == 6
    with pytest.raises(InputError, match=rf"too large: expected at most {pixels - 1:,} pixels") as caught:
        read_film(make(), OPTIONS._replace(max_pixels=pixels - 1))
    assert "--max-pixels" in caught.value.hint
    with pytest.raises(InputError, match="too large"):
        read_frames(folder(FILM), OPTIONS._replace(max_pixels=pixels - 1))


def test_the_number_of_frames_is_limited(monkeypatch):
    monkeypatch.setattr(films, "MAX_FRAMES", 5)
    for read in (
        lambda: read_film(animation(FILM), OPTIONS),
        lambda: read_film(video(FILM), OPTIONS),
        lambda: read_frames(folder(FILM), OPTIONS),
    ):
        with pytest.raises(InputError, match="too many frames: expected at most 5"):
            read()


def test_a_size_that_ffmpeg_refuses_is_an_error_of_the_file():
    """FFmpeg says so by an error of its own; that of Python is for the caller, who knows how to reduce memory."""
    av = pytest.importorskip("av")
    with pytest.raises(InputError, match="damaged video: Cannot allocate memory"), input_errors("video"):
        raise av.error.MemoryError(12, "Cannot allocate memory")
    with pytest.raises(MemoryError), input_errors("video"):
        raise MemoryError


def test_a_missing_package_is_named(monkeypatch):
    """Videos require av; animations do not."""
    data = video(FILM)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match="a video requires the package av") as caught:
        read_film(data, OPTIONS)
    assert caught.value.hint == "pip install 'gradcam-cli[film]'"
    assert len(read_film(animation(FILM), OPTIONS).pixels) == 6
