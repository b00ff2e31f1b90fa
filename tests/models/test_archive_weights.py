"""The weights in `.keras` archives: read in place, once, and compared with the checksum of the archive."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras.src.saving import saving_lib
from malformed_models import rewritten

from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models import archive_weights, safety
from gradcam_cli.models.archive_weights import open_hdf5
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.safety import WEIGHTS_NAME, hdf5_check, start_check, start_read_ahead
from gradcam_cli.models.weight_files import load_weights_into
from gradcam_cli.models.zip_member import stored_member


@keras.saving.register_keras_serializable("archive_weights_test")
class OwnVariables(keras.layers.Layer):
    """A layer that writes and reads its state in its own way."""

    def build(self, _):
        self.table = self.add_weight(shape=(200, 100), name="table", initializer="zeros")

    def call(self, x):
        return x + self.table[0, 0]

    def save_own_variables(self, store):
        store["own"] = 2 * self.table.numpy()

    def load_own_variables(self, store):
        self.table.assign(np.asarray(store["own"]) / 2)


def _model(*, own=False):
    """Return a model with a model inside it, a normalization, and large and small arrays."""
    inner_input = keras.Input((8, 8, 16))
    inner = keras.Model(inner_input, keras.layers.Conv2D(130, 3, name="c")(inner_input), name="inner")
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Normalization(mean=[1.0, 2, 3], variance=[4.0, 5, 6])(x)
    x = keras.layers.Conv2D(16, 3, padding="same", name="a")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(inner(x))
    x = OwnVariables()(x) if own else x
    model = keras.Model(inputs, keras.layers.Dense(200, name="b")(x))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "seed" not in weight.path and weight.dtype == "float32":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.fixture(scope="module")
def model():
    return _model()


@pytest.fixture
def file(model, tmp_path):
    model.save(tmp_path / "net.keras")
    return tmp_path / "net.keras"


def _assert_equal(opened, model):
    assert len(opened.weights) == len(model.weights)
    for weight, source in zip(opened.weights, model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), keras.ops.convert_to_numpy(source))


def _member(file):
    with zipfile.ZipFile(file) as archive:
        return stored_member(archive, WEIGHTS_NAME)


def test_the_place_of_a_member_is_that_of_its_bytes(file):
    member = _member(file)
    with zipfile.ZipFile(file) as archive:
        assert file.read_bytes()[member.start : member.start + member.size] == archive.read(WEIGHTS_NAME)


def test_the_member_is_not_read_into_memory(model, file, monkeypatch):
    """Keras's own way passes the bytes of the whole member to BytesIO."""
    sizes = []

    class Recorder(io.BytesIO):
        def __init__(self, data=b""):
            sizes.append(len(data))
            super().__init__(data)

    monkeypatch.setattr(saving_lib.io, "BytesIO", Recorder)
    keras.saving.load_model(file, compile=False)
    assert max(sizes) > 100_000
    sizes.clear()
    _assert_equal(load_model_file(file, allow_unsafe=False), model)
    assert max(sizes, default=0) < 1000


def test_arrays_that_were_read_are_not_read_again(model, file, monkeypatch):
    """Neither are those of the model inside the model. Small arrays are read by h5py."""
    read = []
    original = h5py.Dataset.read_direct

    def read_direct(array, *args, **options):
        read.append(array.nbytes)
        return original(array, *args, **options)

    monkeypatch.setattr(h5py.Dataset, "read_direct", read_direct)
    start_check(file)
    start_read_ahead(file)
    _assert_equal(load_model_file(file, allow_unsafe=False), model)
    assert max(read) < 1 << 16
    assert safety._open == {}


def test_the_state_of_the_optimizer_is_not_read_ahead(model, tmp_path):
    copy = keras.models.clone_model(model)
    copy.compile("adam", "mse")
    copy.optimizer.build(copy.trainable_variables)
    copy.save(tmp_path / "trained.keras")
    large = [weight for weight in copy.weights if np.prod(weight.shape) >= 1 << 14]
    with hdf5_check(tmp_path / "trained.keras") as check:
        assert len(check._places()) == len(large) == 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_layers_with_their_own_way_of_reading_get_their_arrays(tmp_path, compression):
    own = _model(own=True)
    own.save(tmp_path / "stored.keras")
    file = tmp_path / "own.keras"
    with zipfile.ZipFile(tmp_path / "stored.keras") as source, zipfile.ZipFile(file, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert (_member(file) is None) == (compression == zipfile.ZIP_DEFLATED)
    _assert_equal(load_model_file(file, allow_unsafe=True), own)


def test_a_vocabulary_is_read_from_the_assets(tmp_path):
    lookup = keras.layers.StringLookup(vocabulary=["cat", "dog"], name="lookup")
    inputs = keras.Input((1,), dtype="string")
    keras.Model(inputs, lookup(inputs)).save(tmp_path / "words.keras")
    opened = load_model_file(tmp_path / "words.keras", allow_unsafe=True)
    assert opened.get_layer("lookup").get_vocabulary() == ["[UNK]", "cat", "dog"]


def _change_a_weight(file, model):
    """Change a byte of the first large array: neither zip nor HDF5 notices it but for the checksum."""
    data = bytearray(file.read_bytes())
    at = data.index(model.get_layer("b").kernel.numpy().tobytes()[:64])
    data[at + 20] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("allow_unsafe", [False, True])
def test_weights_without_the_checksum_of_the_archive_are_refused(model, file, allow_unsafe):
    """Neither the HDF5 library nor the check of its data notices one other bit in a weight."""
    _change_a_weight(file, model)
    with pytest.raises(ModelError, match=r"net\.keras is damaged: model\.weights\.h5 does not have the checksum"):
        load_model_file(file, allow_unsafe)
    with pytest.raises(WeightsError, match=r"net\.keras is damaged: model\.weights\.h5 does not have the checksum"):
        load_weights_into(model, file)


def test_compressed_weights_without_the_checksum_are_refused(model, file, tmp_path):
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(tmp_path / "packed.keras", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name), zipfile.ZIP_DEFLATED)
        checksum = target.getinfo(WEIGHTS_NAME).CRC.to_bytes(4, "little")
    data = (tmp_path / "packed.keras").read_bytes()
    assert data.count(checksum) == 2  # in the header of the member, and in the directory
    (tmp_path / "packed.keras").write_bytes(data.replace(checksum, b"\1\2\3\4"))
    with pytest.raises(ModelError, match=r"packed\.keras is damaged"):
        load_model_file(tmp_path / "packed.keras", allow_unsafe=False)


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_archives_are_refused(file, tenth):
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * tenth // 10])
    with pytest.raises(ModelError, match=r"net\.keras"):
        load_model_file(file, allow_unsafe=False)


def test_a_member_that_claims_to_end_behind_the_file_is_refused(file):
    """The bytes that are there are those of the checksum's beginning only."""
    member = _member(file)
    with zipfile.ZipFile(file) as archive:
        weights = archive.read(WEIGHTS_NAME)
    data = rewritten(file.read_bytes(), **{WEIGHTS_NAME: weights + bytes(100)})
    file.write_bytes(data.replace((member.size + 100).to_bytes(4, "little"), (1 << 30).to_bytes(4, "little")))
    with pytest.raises(ModelError, match=r"net\.keras"):
        load_model_file(file, allow_unsafe=False)


def test_the_header_of_a_member_must_be_that_of_the_directory(file):
    """The place is computed from the header; Keras reads it, too."""
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        at = archive.getinfo(WEIGHTS_NAME).header_offset + 30
    data[at : at + 5] = b"other"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"net\.keras is damaged"):
        load_model_file(file, allow_unsafe=False)


def test_overlapping_places_are_read_once(model, file):
    """What overlaps is left to h5py, so that the memory is at most that of the file."""
    with hdf5_check(file) as check:
        places = check._places()
        inside = (places[0][0] + 4, 64)
        check._result["places"] = [*places, inside]
        check.read_ahead()
        assert not check.reader.is_damaged()
        assert check.reader.take(inside) is None
        assert check.reader.take(places[0]) is not None


def test_weights_alone_are_taken_from_an_archive_in_place(model, file, monkeypatch):
    other = keras.models.clone_model(model)
    monkeypatch.setattr(archive_weights.tempfile, "TemporaryFile", None)
    load_weights_into(other, file)
    _assert_equal(other, model)
    with open_hdf5(file) as content:
        assert "layers" in content
    with pytest.raises(WeightsError, match="layer a is missing from the file"):
        load_weights_into(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1, name="a")]), file)
