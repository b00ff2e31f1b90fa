"""The record of a map, its files and its JSON form."""

import io
import json

import keras
import matplotlib.figure
import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli import explain
from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.images.load import Failure, Skipped
from gradcam_cli.output.figure_files import read_vector_comment
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.captions import color_bar, color_limit
from gradcam_cli.pipeline.json_lines import SCHEMA_VERSION, to_json
from gradcam_cli.pipeline.panels import map_panel

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def record():
    return explain(PHOTO, small_network(), "conv2", preprocess="-1..1")


def test_array_shapes_ranges_and_dtypes(record):
    """heatmap, cam and alpha have the documented shapes, ranges and dtypes."""
    assert record.heatmap.shape == (40, 60)
    assert (record.heatmap.min(), record.heatmap.max()) == (0, 1)
    assert record.cam.shape == (10, 10)
    assert record.alpha.shape == (5,)
    assert record.heatmap.dtype == record.cam.dtype == record.alpha.dtype == np.float32
    assert record.predictions[0] == record.prediction
    assert sum(prediction.probability for prediction in record.predictions) == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(record.image, PHOTO)
    assert isinstance(record.figure(), matplotlib.figure.Figure)


def test_arrays_in_files(record, tmp_path):
    """Npy holds the heatmap; npz holds heatmap, cam, alpha and metadata; both load without pickle."""
    np.testing.assert_array_equal(np.load(record.save(tmp_path / "map.npy")), record.heatmap)
    with np.load(record.save(tmp_path / "map.npz"), allow_pickle=False) as arrays:
        assert sorted(arrays) == ["alpha", "cam", "class", "heatmap", "layer", "metadata", "score"]
        assert json.loads(str(arrays["metadata"])) == record.metadata()
        for name in ("heatmap", "cam", "alpha"):
            np.testing.assert_array_equal(arrays[name], getattr(record, name))
        assert (str(arrays["layer"]), str(arrays["score"])) == ("conv2", "logit")
        assert str(arrays["class"]) == str(record.prediction.index)


@pytest.mark.parametrize(("kind", "size"), [("overlay", (60, 40)), ("heatmap", (60, 40)), ("figure", None)])
def test_saved_images_equal_encoded_bytes(record, tmp_path, kind, size):
    path = record.save(tmp_path / "new" / "x.png", kind, cmap="viridis", opacity=0.3)
    with Image.open(path) as image:
        assert size is None or image.size == size
    assert path.read_bytes() == record.encode(kind, cmap="viridis", opacity=0.3)


def test_failed_write_keeps_previous_file(record, tmp_path, monkeypatch):
    target = tmp_path / "map.npy"
    target.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="No space left"):
        record.save(target)
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["map.npy"]


@pytest.mark.parametrize(("name", "kind"), [("map.txt", None), ("map.png", "npz"), ("map.npy", "nonsense")])
def test_suffix_must_match_the_kind(record, tmp_path, name, kind):
    with pytest.raises(UsageError, match=r"expected a (name ending in|suffix)"):
        record.save(tmp_path / name, kind)


def test_json_keys_are_the_same_for_all_statuses(record):
    """Records of explained, failed and skipped inputs have the same keys and are valid JSON."""
    records = [to_json(record, {"npy": "x.npy"}), to_json(Failure("x", "why", "so")), to_json(Skipped("x"))]
    assert len({tuple(entry) for entry in records}) == 1
    assert [entry["status"] for entry in records] == ["ok", "failed", "skipped"]
    assert all(entry["schema_version"] == SCHEMA_VERSION for entry in records)
    for entry in records:
        json.dumps(entry, allow_nan=False)


def test_json_values_equal_the_explanation(record):
    entry = json.loads(json.dumps(to_json(record, {"npy": "x.npy"})))
    assert entry["layer"] == "conv2"
    assert entry["score"] == "logit"
    assert entry["class_index"] == record.prediction.index
    assert entry["probability"] == pytest.approx(record.prediction.probability)
    x, y = entry["map"]["peak"]
    assert record.heatmap[y, x] == 1
    x0, y0, x1, y1 = entry["map"]["box"]
    assert 0 <= x0 < x1 <= 60
    assert 0 <= y0 < y1 <= 40
    assert entry["map"]["raw_max"] == pytest.approx(float(record.cam.max()))
    assert entry["map"]["positive_weight_fraction"] == pytest.approx((record.alpha > 0).mean())
    assert entry["outputs"] == {"npy": "x.npy"}
    assert set(entry["timings"]) == {"decode", "network", "map"}
    assert {"gradcam", "tensorflow", "keras", "numpy", "python"} <= set(entry["versions"])


def test_recomputing_gives_the_same_bytes(record):
    recomputed = explain(PHOTO, small_network(), "conv2", preprocess="-1..1")
    for kind in ("figure", "overlay", "heatmap", "npy", "npz"):
        assert recomputed.encode(kind) == record.encode(kind)


def words_of(figure):
    return " ".join(text.get_text() for text in figure.texts)


def test_figure_names_what_it_shows(record):
    """The image, the class with its probability, the method, the layer with its size, and the model."""
    prediction = record.prediction
    words = words_of(record.figure())
    for word in ("array", f"{prediction.index}", f"p = {prediction.probability:.3f}", "gradcam", "conv2 10x10"):
        assert word in words
    assert record.model.name in words
    assert "coarse" not in words


def test_coarse_maps_are_named():
    """4x4 cells are coarse, 5x5 are not."""
    for side, is_coarse in ((4, True), (5, False)):
        layers = [keras.Input((side, side, 3)), keras.layers.Conv2D(2, 1, name="conv"), keras.layers.Flatten()]
        model = keras.Sequential([*layers, keras.layers.Dense(2)])
        words = words_of(explain(PHOTO, model, "conv", preprocess="0..1").figure())
        assert (f"{side}x{side} cells: coarse" in words) == is_coarse


def test_color_bar_ends_at_the_raw_maximum(record):
    """The label of its end is raw_max; 1 in the heatmap is the value of the upsampled map at the peak."""
    raw_max = to_json(record)["map"]["raw_max"]
    axes = record.figure().axes[-1]
    assert axes.get_yticklabels()[-1].get_text() == f"{raw_max:.3g}"
    assert axes.get_ylim() == (0, pytest.approx(raw_max))
    assert axes.get_ylabel() == "gradcam (logit)"
    # the peak of a map upsampled by hand: 40x60 pixels of 10x10 cells, linear with half-pixel centers
    u = np.clip((np.arange(40) + 0.5) / 4 - 0.5, 0, 9)
    v = np.clip((np.arange(60) + 0.5) / 6 - 0.5, 0, 9)
    rows = np.array([np.interp(v, range(10), row) for row in record.cam])
    upsampled = np.array([np.interp(u, range(10), column) for column in rows.T]).T
    assert record.heatmap_max == pytest.approx(upsampled.max(), rel=1e-5)
    assert record.heatmap_max <= raw_max


@pytest.mark.parametrize(("method", "clipped"), [("gradcam", False), ("saliency", True), ("occlusion", False)])
def test_pixel_gradients_are_clipped_at_2_percent(method, clipped):
    """By default only these methods; the limit is the percentile of the map, and the color bar has its value."""
    explanation = explain(PHOTO, small_network(), "conv2", preprocess="-1..1", method=method)
    limit = np.percentile(explanation.heatmap, 98) if clipped else 1
    assert color_limit(explanation.heatmap, method, RenderOptions()) == pytest.approx(limit)
    assert color_limit(explanation.heatmap, method, RenderOptions(clip=5)) == pytest.approx(
        np.percentile(explanation.heatmap, 95)
    )
    assert color_limit(explanation.heatmap, method, RenderOptions(clip=0)) == 1
    bar = color_bar(explanation, RenderOptions())
    assert bar.limit == pytest.approx(limit * explanation.heatmap_max)
    drawn = explanation.overlay(cmap="gray", opacity=1)
    white = (drawn == 255).all(axis=2).mean()
    assert white == pytest.approx(0.02, abs=0.01) if clipped else white < 0.02


@pytest.mark.parametrize("suffix", ["pdf", "svg"])
def test_vector_files_are_equal_and_carry_the_settings(record, tmp_path, suffix):
    for kind in ("figure", "grid"):
        path = record.save(tmp_path / f"{kind}.{suffix}", kind, contours=[0.5])
        comment = json.loads(read_vector_comment(path.read_bytes()))
        assert comment["maps"][0]["layer"] == "conv2"
        assert path.read_bytes() == record.save(tmp_path / f"again.{suffix}", kind, contours=[0.5]).read_bytes()
    with pytest.raises(UsageError, match=r"expected a name ending in \.png, \.jpg, \.jpeg for overlay"):
        record.save(tmp_path / f"x.{suffix}", "overlay")


def test_unknown_drawing_options_are_named(record):
    with pytest.raises(TypeError, match=r"unexpected drawing option 'contour': did you mean 'contours'\?"):
        record.figure(contour=0.5)
    with pytest.raises(TypeError, match=r"unexpected drawing option 'x': expected cmap, opacity"):
        record.figure(x=0.5)


def test_panels_equal_the_overlay():
    """A panel of the size of the image has the pixels of the overlay; boxes of the crop are scaled with the image."""
    photo = np.random.default_rng(1).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    for fit in ("squash", "crop", "pad"):
        explanation = explain(photo, small_network(), "conv2", preprocess="-1..1", fit=fit)
        render = RenderOptions(cmap="jet")
        np.testing.assert_array_equal(map_panel(explanation, 120, render), explanation.overlay(cmap="jet"))
        half = map_panel(explanation, 60, render)
        assert half.shape == (40, 60, 3)
        hatched = (explanation.overlay() == explanation.overlay()[..., :1]).all(axis=2)[40, ::2]
        assert (half == half[..., :1]).all(axis=2)[20].mean() == pytest.approx(hatched.mean(), abs=0.05)


def test_zero_map_has_a_reason_and_a_figure():
    """A layer without activations gives a map of zeros with a reason, finite arrays and a figure."""
    model = small_network()
    model.get_layer("conv2").bias.assign([-100] * 5)
    dead = explain(PHOTO, model, "conv2", preprocess="0..1")
    assert not dead.heatmap.any()
    assert dead.zero_reason.startswith("dead activations")
    assert "zero everywhere" in dead.title
    assert "zero everywhere" in words_of(dead.figure())
    entry = to_json(dead)
    assert entry["map"]["peak"] is entry["map"]["box"] is None
    with np.load(io.BytesIO(dead.encode("npz"))) as arrays:
        assert np.isfinite(arrays["heatmap"]).all()
    assert dead.encode("figure").startswith(b"\x89PNG")


def test_evidence_only_in_the_padding():
    """If the map is positive only in the padding, the heatmap is zero and the reason names it."""
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            keras.layers.Conv2D(1, 1, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    # The padding has ImageNet's mean color; the image is black, where this layer is 0.
    weights = np.zeros((144, 2))
    weights[:, 0] = 1
    model.set_weights([np.ones((1, 1, 3, 1)), np.zeros(1), weights, np.zeros(2)])
    record = explain(
        np.zeros((4, 12, 3), np.uint8),
        model,
        "conv",
        fit="pad",
        preprocess="0..1",
        target_class=0,
        interpolation="nearest",
    )
    assert record.cam.any()
    assert not record.heatmap.any()
    assert "outside the image" in record.zero_reason


def test_saturated_sigmoids_rank_by_logit():
    """Sigmoid outputs that round to 1 are ranked by their logits."""
    model = small_network(activation="sigmoid")
    kernel = model.layers[-1].get_weights()[0]
    model.layers[-1].set_weights([kernel * 0, np.array([50.0, 70.0, 60.0])])
    record = explain(PHOTO, model, "conv2", preprocess="0..1")
    assert [prediction.index for prediction in record.predictions] == [1, 2, 0]
    assert {prediction.probability for prediction in record.predictions} == {1.0}
