"""The record of a map, its files and its JSON form."""

import io
import json

import keras
import matplotlib.figure
import numpy as np
import pytest
from conftest import small_network
from PIL import Image

from gradcam_cli import explain
from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.images.load import Failure, Skipped
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, to_json

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def record():
    return explain(PHOTO, small_network(), "conv2", preprocessing="-1..1")


def test_the_record(record):
    """Map, raw map and weights have the shapes and ranges that are promised."""
    assert record.map.shape == (40, 60)
    assert (record.map.min(), record.map.max()) == (0, 1)
    assert record.raw.shape == (10, 10)
    assert record.alpha.shape == (5,)
    assert record.map.dtype == record.raw.dtype == record.alpha.dtype == np.float32
    assert record.top[0] == record.prediction
    assert sum(prediction.probability for prediction in record.top) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(record.photo, PHOTO)
    assert isinstance(record.figure(), matplotlib.figure.Figure)


def test_arrays_in_files(record, tmp_path):
    """The file npy holds the map, npz the map, the raw map, alpha, and what they are of; both read without pickle."""
    np.testing.assert_array_equal(np.load(record.save(tmp_path / "map.npy")), record.map)
    with np.load(record.save(tmp_path / "map.npz"), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["alpha", "class", "layer", "map", "raw", "record", "score"]
        assert json.loads(str(arrays["record"])) == record.identity()
        for name in ("map", "raw", "alpha"):
            np.testing.assert_array_equal(arrays[name], getattr(record, name))
        assert (str(arrays["layer"]), str(arrays["score"])) == ("conv2", "logit")
        assert str(arrays["class"]) == str(record.prediction.index)


@pytest.mark.parametrize(("kind", "size"), [("overlay", (60, 40)), ("heatmap", (60, 40)), ("figure", None)])
def test_pictures_in_files(record, tmp_path, kind, size):
    path = record.save(tmp_path / "new" / "x.png", kind, cmap="viridis", alpha=0.3)
    with Image.open(path) as image:
        assert size is None or image.size == size
    assert path.read_bytes() == record.encode(kind, cmap="viridis", alpha=0.3)


def test_a_file_is_replaced_whole_or_not_at_all(record, tmp_path, monkeypatch):
    target = tmp_path / "map.npy"
    target.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left"):
        record.save(target)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["map.npy"]


@pytest.mark.parametrize(("name", "kind"), [("map.txt", None), ("map.png", "npz"), ("map.npy", "nonsense")])
def test_names_that_do_not_fit(record, tmp_path, name, kind):
    with pytest.raises(UsageError, match="expected a name ending in"):
        record.save(tmp_path / name, kind)


def test_json_has_the_same_keys_always(record):
    """Explained, failed and skipped inputs have one schema, and nothing that is no JSON."""
    records = [to_json(record, {"npy": "x.npy"}), to_json(Failure("x", "why", "so")), to_json(Skipped("x"))]
    assert len({tuple(entry) for entry in records}) == 1
    assert [entry["status"] for entry in records] == ["ok", "failed", "skipped"]
    assert all(entry["schema_version"] == SCHEMA_VERSION for entry in records)
    for entry in records:
        json.dumps(entry, allow_nan=False)


def test_json_says_what_the_record_says(record):
    entry = json.loads(json.dumps(to_json(record, {"npy": "x.npy"})))
    assert entry["layer"] == "conv2"
    assert entry["score"] == "logit"
    assert entry["class_index"] == record.prediction.index
    assert entry["probability"] == pytest.approx(record.prediction.probability)
    x, y = entry["map"]["peak"]
    assert record.map[y, x] == 1
    x0, y0, x1, y1 = entry["map"]["box"]
    assert 0 <= x0 < x1 <= 60
    assert 0 <= y0 < y1 <= 40
    assert entry["map"]["raw_max"] == pytest.approx(float(record.raw.max()))
    assert entry["map"]["positive_weights"] == pytest.approx((record.alpha > 0).mean())
    assert entry["outputs"] == {"npy": "x.npy"}
    assert set(entry["seconds"]) == {"decode", "network", "map"}
    assert {"gradcam", "tensorflow", "keras", "numpy", "python"} <= set(entry["versions"])


def test_same_inputs_same_bytes(record):
    again = explain(PHOTO, small_network(), "conv2", preprocessing="-1..1")
    for kind in ("figure", "overlay", "heatmap", "npy", "npz"):
        assert again.encode(kind) == record.encode(kind)


def test_zero_maps_are_drawn_and_explained():
    """A network whose layer is dead gives a map of zeros with its reason, a file, and no NaN."""
    model = small_network()
    model.get_layer("conv2").bias.assign([-100] * 5)
    dead = explain(PHOTO, model, "conv2", preprocessing="0..1")
    assert not dead.heatmap.any()
    assert dead.zero_reason.startswith("dead activations")
    assert "zero everywhere" in dead.title
    entry = to_json(dead)
    assert entry["map"]["peak"] is entry["map"]["box"] is None
    with np.load(io.BytesIO(dead.encode("npz"))) as arrays:
        assert np.isfinite(arrays["map"]).all()
    assert dead.encode("figure").startswith(b"\x89PNG")


def test_evidence_beside_the_photo():
    """A padded photo whose map is positive in the bars only: a map of zeros, with that reason."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(1, 1, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    # Bars have ImageNet's mean colour; the photo is black, where this layer is silent.
    weights = np.zeros((144, 2))
    weights[:, 0] = 1
    model.set_weights([np.ones((1, 1, 3, 1)), np.zeros(1), weights, np.zeros(2)])
    record = explain(
        np.zeros((4, 12, 3), np.uint8), model, "conv", fit="pad", preprocessing="0..1", target_class=0, zoom_order=0
    )
    assert record.cam.any()
    assert not record.heatmap.any()
    assert "beside the photo" in record.zero_reason


def test_saturated_predictions_keep_their_order():
    """Sigmoids that round to 1 are still listed by their logits."""
    model = small_network(activation="sigmoid")
    kernel = model.layers[-1].get_weights()[0]
    model.layers[-1].set_weights([kernel * 0, np.array([50.0, 70.0, 60.0])])
    record = explain(PHOTO, model, "conv2", preprocessing="0..1")
    assert [prediction.index for prediction in record.predictions] == [1, 2, 0]
    assert {prediction.probability for prediction in record.predictions} == {1.0}
