"""Weights that are read in a thread while TensorFlow is imported."""

import h5py
import keras
import numpy as np
import pytest

from gradcam_cli.cli import options
from gradcam_cli.errors import WeightsError
from gradcam_cli.models import safety
from gradcam_cli.models.read_ahead import ReadAhead, page_aligned
from gradcam_cli.models.safety import hdf5_check, start_check, start_read_ahead
from gradcam_cli.models.weight_files import load_weights_into
from gradcam_cli.models.weights import local_weights

VALUES = np.random.default_rng(0).normal(size=(150, 200)).astype(np.float32)


def start(file):
    start_check(file)
    start_read_ahead(file)


def test_arrays_are_read_from_their_places(tmp_path):
    (tmp_path / "file").write_bytes(b"123" + VALUES.tobytes() + VALUES[::-1].tobytes())
    places = [(3, VALUES.nbytes), (3 + VALUES.nbytes, VALUES.nbytes)]
    reader = ReadAhead(tmp_path / "file", lambda: places)
    np.testing.assert_array_equal(reader.take(places[1]).reshape(VALUES.shape), VALUES[::-1])
    np.testing.assert_array_equal(reader.take(places[0]).reshape(VALUES.shape), VALUES)
    assert reader.take(places[0]) is None  # it belongs to a variable now
    assert reader.take((3, 8)) is None


def test_a_truncated_or_missing_file_gives_nothing(tmp_path):
    """The arrays are then read by h5py, which raises the error."""
    (tmp_path / "file").write_bytes(VALUES.tobytes()[:-1])
    assert ReadAhead(tmp_path / "file", lambda: [(0, VALUES.nbytes)]).take((0, VALUES.nbytes)) is None
    assert ReadAhead(tmp_path / "none", lambda: [(0, VALUES.nbytes)]).take((0, VALUES.nbytes)) is None


def test_a_buffer_begins_with_a_page():
    assert page_aligned((3, 5)).ctypes.data % 4096 == 0
    assert page_aligned((0, 5)).shape == (0, 5)


def test_only_plain_arrays_have_places(tmp_path):
    """Their offsets are those of the HDF5 library; other arrays are left to it."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["plain"] = VALUES
        file["group/other"] = VALUES + 1
        file["small"] = VALUES[0]
        file["double"] = VALUES.astype(np.float64)
        file["big_endian"] = VALUES.astype(">f4")
        file.create_dataset("empty", (150, 200), "f4")
        file.create_dataset("chunks", data=VALUES, chunks=True)
        file.create_dataset("gzip", data=VALUES, compression="gzip")
    with hdf5_check(tmp_path / "file.h5") as check, h5py.File(tmp_path / "file.h5") as file:
        check.finish()
        expected = [(file[name].id.get_offset(), VALUES.nbytes) for name in ("plain", "group/other")]
        assert sorted(check._places()) == sorted(expected)
        check.read_ahead()
        np.testing.assert_array_equal(check.reader.take(expected[1]).reshape(VALUES.shape), VALUES + 1)


def test_a_file_with_a_user_block_has_no_places(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w", userblock_size=512) as file:
        file["plain"] = VALUES
    with hdf5_check(tmp_path / "file.h5") as check:
        assert check._places() == []


def test_nothing_is_read_of_a_refused_file(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["plain"] = VALUES
        file["link"] = h5py.ExternalLink("other.h5", "/x")
    start(tmp_path / "file.h5")
    check = safety._started[safety._identity(tmp_path / "file.h5")]
    assert check._places() == []
    with pytest.raises(WeightsError, match="link to another file"):
        load_weights_into(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), tmp_path / "file.h5")


@pytest.fixture
def network():
    return keras.Sequential([keras.Input((100,)), keras.layers.Dense(300, name="a"), keras.layers.Dense(5, name="b")])


def test_weights_that_were_read_are_not_read_again(network, tmp_path, monkeypatch):
    network.save(tmp_path / "net.h5")
    expected = [weight.numpy() for weight in network.weights]
    network.layers[0].kernel.assign(np.zeros((100, 300)))
    start(tmp_path / "net.h5")
    monkeypatch.setattr(h5py.Dataset, "read_direct", None)
    load_weights_into(network, tmp_path / "net.h5")
    for weight, value in zip(network.weights, expected, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert safety._open == {}


def test_a_file_that_was_replaced_is_read_again(network, tmp_path):
    """What was read belongs to the file as it was when its check was started."""
    network.save(tmp_path / "net.h5")
    start(tmp_path / "net.h5")
    network.layers[0].kernel.assign(np.ones((100, 300)))
    network.save(tmp_path / "new.h5")
    (tmp_path / "new.h5").replace(tmp_path / "net.h5")
    network.layers[0].kernel.assign(np.zeros((100, 300)))
    load_weights_into(network, tmp_path / "net.h5")
    assert network.layers[0].kernel.numpy().min() == 1


def test_reading_starts_before_tensorflow_is_imported(cli, photo, model_file, tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(options, "import_tensorflow", lambda: events.append("import"))
    monkeypatch.setattr(options, "start_read_ahead", lambda file: events.append(file.name))
    monkeypatch.setattr(options, "start_sha256", lambda file: events.append(file.name))
    assert cli(photo(), "--model", model_file, "--preprocess", "-1..1").status == 0
    assert events == [model_file.name, model_file.name, "import"]


@pytest.mark.parametrize(
    ("model", "weights", "expected"),
    [
        ("net.keras", "imagenet", "net.keras"),
        ("net.keras", "own.h5", "own.h5"),
        ("net.keras", "none", None),
        ("vgg19", "none", None),
        ("no such model", "imagenet", None),
    ],
)
def test_the_local_file_of_a_run(model, weights, expected):
    found = local_weights(model, weights)
    assert (found and str(found)) == expected


def test_an_unreadable_file_is_an_error_of_the_loading(cli, photo, model_file, tmp_path, monkeypatch):
    """It is reported in one line, not where its reading starts."""

    def refuse(file):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(options, "is_archive", refuse)
    weights = tmp_path / "weights.keras"
    weights.write_bytes(model_file.read_bytes())
    assert cli(photo(), "--model", model_file, "--weights", weights, "--preprocess", "-1..1").status == 0
