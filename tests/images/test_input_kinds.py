"""Inputs of every kind, for models of every kind: which reader a file gets, folders, and what is refused."""

import hashlib
import io
import pickle
import wave
from pathlib import Path

import numpy as np
import pytest
from dicom_series import encoded as dicom_bytes
from dicom_series import series as dicom_series
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images import load
from gradcam_cli.images.discover import find_sources, no_images_error
from gradcam_cli.images.in_memory import BytesSource
from gradcam_cli.images.load import Failure, load_image
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import SeriesSource, Source

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 6, 5, 3), np.uint8)


def write_frames(folder, suffix=".png", count=3):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(FRAMES[:count]):
        Image.fromarray(frame).save(folder / f"{number + 8}{suffix}")


def wav(samples):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, 100, 0, "NONE", ""))
        file.writeframes(np.int16(samples).tobytes())
    return buffer.getvalue()


def encoded(kind):
    buffer = io.BytesIO()
    images = [Image.fromarray(frame) for frame in FRAMES]
    images[0].save(buffer, kind, **({"save_all": True, "append_images": images[1:]} if kind in ("GIF", "WEBP") else {}))
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        pytest.param(wav([0, 16384, -32768]), {1: "signal"}, id="wav"),
        pytest.param(npy(np.zeros((6, 5))), {1: "signal", 2: "image"}, id="array of two axes"),
        pytest.param(npy(np.zeros((6, 5, 3))), {2: "image", 3: "volume"}, id="array of three axes"),
        pytest.param(npy(np.zeros(6)), {1: "signal"}, id="array of one axis"),
        pytest.param(encoded("PNG"), {2: "image", 3: "film"}, id="png"),
        pytest.param(encoded("GIF"), {2: "image", 3: "film"}, id="gif"),
        pytest.param(encoded("JPEG"), {2: "image"}, id="jpeg"),
        pytest.param(encoded("TIFF"), {2: "image"}, id="tiff"),
    ],
)
def test_first_bytes_and_the_model_choose_the_reader(data, kinds):
    """Without a name, as on standard input; what the model does not take is refused in one sentence with a hint."""
    for rank, model in ((1, "signals"), (2, "images"), (3, "volumes and films")):
        result = load_image(BytesSource("-", data=data), ReadOptions(rank=rank))
        if rank in kinds:
            assert result.space.kind == kinds[rank]
            assert result.shape == result.pixels.shape[:rank]
        else:
            assert isinstance(result, Failure)
            assert "\n" not in result.error
            assert f"the model takes {model}" in result.hint


@pytest.mark.parametrize(
    ("data", "rank", "error"),
    [
        (encoded("JPEG"), 1, "expected a signal, got an image"),
        (encoded("JPEG"), 3, "expected a volume or film, got an image"),
        (wav([1]), 2, "expected an image, got a WAV file"),
        (b"\0" * 128 + b"DICM", 2, "expected an image, got a DICOM file"),
        (b"text", 1, "expected a signal, got an unknown format"),
        (b"text", 2, "not an image: unknown format"),
        (b"", 1, "the file is empty"),
        (b"", 2, "the file is empty"),
        (b"\0\0\0 ftypheic" + bytes(20), 3, "got an unknown format"),
    ],
)
def test_other_formats_are_named(data, rank, error):
    assert error in load_image(BytesSource("x", data=data), ReadOptions(rank=rank)).error


def test_a_wav_file_is_a_signal_in_seconds(tmp_path):
    (tmp_path / "x.wav").write_bytes(wav([0, 16384, -32768]))
    signal = load_image(Source(str(tmp_path / "x.wav")), ReadOptions(rank=1))
    np.testing.assert_array_equal(signal.pixels, [[0], [0.5], [-1]])
    assert signal.space.spacing == (0.01,)


def test_a_folder_of_images_is_a_film(tmp_path):
    """Its frames are in natural order, 8 9 10; its SHA-256 is that of the bytes of all files."""
    write_frames(tmp_path / "walk")
    (source,) = find_sources([str(tmp_path / "walk")], rank=3)
    film = load_image(source, ReadOptions(rank=3))
    np.testing.assert_array_equal(film.pixels, FRAMES)
    assert (film.space.kind, film.shape, film.name) == ("film", (3, 6, 5), str(tmp_path / "walk"))
    data = b"".join((tmp_path / f"walk/{number}.png").read_bytes() for number in (8, 9, 10))
    assert film.sha256 == source.sha256() == hashlib.sha256(data).hexdigest()


def test_a_folder_of_dicom_files_is_a_volume(tmp_path):
    """Slice k of the series has the values 100 k, 100 k + 1, ...; the files are named in another order."""
    for name, dataset in dicom_series():
        (tmp_path / f"{9 - int(name[0])}.dcm").write_bytes(dicom_bytes(dataset))
    (source,) = find_sources([str(tmp_path)], rank=3)
    volume = load_image(source, ReadOptions(rank=3))
    assert (volume.space.kind, volume.shape) == ("volume", (4, 2, 3))
    assert volume.sha256 == source.sha256()
    expected = 100 * np.arange(4)[:, None, None] + np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(volume.decoded().bands.values[..., 0], expected)
    alone = load_image(Source(str(tmp_path / "9.dcm")), ReadOptions(rank=3))
    assert alone.shape == (1, 2, 3)


def test_a_folder_at_a_url_is_a_film():
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    for number, frame in enumerate(FRAMES):
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "PNG")
        store.pipe(f"/films/walk/{number + 8}.png", buffer.getvalue())
    (source,) = find_sources(["memory://films"], rank=3)
    film = load_image(source, ReadOptions(rank=3))
    assert film.name == "memory://films/walk"
    np.testing.assert_array_equal(film.pixels, FRAMES)
    store.rm("/films", recursive=True)


def test_dropped_and_pickled_films_are_read_again(tmp_path, monkeypatch):
    write_frames(tmp_path / "walk")
    (source,) = find_sources([str(tmp_path / "walk")], rank=3)
    monkeypatch.setattr(load, "MAX_PICKLED_BYTES", 10)
    film = pickle.loads(pickle.dumps(load_image(source, ReadOptions(rank=3))))
    np.testing.assert_array_equal(film.pixels, FRAMES)
    (tmp_path / "walk/9.png").unlink()
    assert "9.png" in load_image(source, ReadOptions(rank=3)).error


def found(directory, rank, **options):
    """Return what is found, relative to the directory; of a folder that is one input, with its number of files."""
    sources = find_sources([str(directory)], rank=rank, **options)
    names = [(Path(source.name).relative_to(directory).as_posix(), source) for source in sources]
    return [f"{name}: {len(each.files)}" if isinstance(each, SeriesSource) else name for name, each in names]


def test_each_model_finds_its_inputs(tmp_path):
    """A folder with everything; outputs of earlier runs and hidden files are left out for all."""
    touched = "a.wav b.npy c.npz d.png e.nii f.nii.gz g.gif h.mp4 notes.txt .hidden.wav a_gradcam.npz f_gradcam.nii.gz"
    for name in (*touched.split(), "scan/1.dcm", "scan/2.dcm", "scan/x_gradcam.dcm", "scan/DICOMDIR"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write_frames(tmp_path / "walk")
    assert found(tmp_path, 1) == ["a.wav", "b.npy", "c.npz"]
    assert found(tmp_path, 2) == ["d.png", "g.gif", "walk/8.png", "walk/9.png", "walk/10.png"]
    volumes = ["b.npy", "c.npz", "e.nii", "f.nii.gz", "g.gif", "h.mp4"]
    assert found(tmp_path, 3) == [*volumes, "scan: 2", "walk: 3"]


def test_images_with_images_below_are_no_film(tmp_path, caplog):
    write_frames(tmp_path / "films/one")
    write_frames(tmp_path / "films/two/deep")
    write_frames(tmp_path / "films", count=1)
    with caplog.at_level("INFO"):
        assert found(tmp_path / "films", 3) == ["one: 3", "two/deep: 3"]
    assert "films: files left out: .png (1)" in caplog.text


def test_animated_images_are_films_of_their_own(tmp_path):
    write_frames(tmp_path / "stills", ".webp")
    (tmp_path / "moving").mkdir()
    for name in ("a.webp", "b.webp"):
        (tmp_path / "moving" / name).write_bytes(encoded("WEBP"))
    assert found(tmp_path, 3) == ["moving/a.webp", "moving/b.webp", "stills: 3"]


def test_volumes_are_no_unsupported_images_for_a_model_of_volumes(tmp_path, caplog):
    for name in ("1.dcm", "x.nii"):
        (tmp_path / name).touch()
    list(find_sources([str(tmp_path)]))
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert ".dcm (1), .nii (1)" in caplog.text
    caplog.clear()
    assert found(tmp_path, 3) == ["x.nii", ".: 1"]
    assert "WARNING" not in caplog.text


@pytest.mark.parametrize(
    ("rank", "message", "hint"),
    [(1, "no signal found in x", ".wav"), (2, "no image found in x", ".npy with"), (3, "volume or film", ".nii.gz")],
)
def test_the_error_names_the_suffixes_of_the_model(rank, message, hint):
    error = no_images_error(["x"], rank)
    assert message in error.message
    assert hint in error.hint


def test_the_files_of_a_series_are_no_single_file(tmp_path):
    write_frames(tmp_path / "walk")
    (source,) = find_sources([str(tmp_path / "walk")], rank=3)
    assert source.paths == tuple(str(tmp_path / f"walk/{number}.png") for number in (8, 9, 10))
    with pytest.raises(InputError, match="expected a file, got a folder of 3 files"):
        source.read()
