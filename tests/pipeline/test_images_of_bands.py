"""Models of other channels than colors: the map, the preprocessing, and what a command says of unfit images."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from keras import layers as L  # noqa: N812

from gradcam_cli import explain, load_model
from gradcam_cli.errors import InputError, UsageError

H, W = 12, 14


def network(count):
    keras.utils.set_random_seed(count)
    image = keras.Input((H, W, count))
    A = L.Conv2D(6, 3, activation="relu", name="conv")(image)
    return keras.Model(image, L.Dense(3, name="out")(L.GlobalAveragePooling2D()(A)))


def independent_map(model, x, c):
    A = tf.constant(model.get_layer("conv")(x[None]))
    with tf.GradientTape() as tape:
        tape.watch(A)
        y_c = model.get_layer("out")(tf.reduce_mean(A, (1, 2)))[:, c]
    alpha = tf.reduce_mean(tape.gradient(y_c, A), (1, 2))
    return float(y_c[0]), tf.nn.relu(tf.reduce_sum(alpha[:, None, None] * A, -1)).numpy()[0]


@pytest.fixture(params=[2, 4, 13])
def case(request):
    count = request.param
    return network(count), np.random.default_rng(count).normal(size=(H, W, count)).astype(np.float32)


def assert_map(explanation, model, x):
    logit, expected = independent_map(model, x, 1)
    assert explanation.prediction.logit == pytest.approx(logit, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(explanation.cam, expected, atol=1e-5 * np.abs(expected).max() + 1e-7)


def test_map_equals_that_of_an_independent_tape(case, tmp_path):
    """The values reach the model as they are stored: from an array in memory, in a file, and from a TIFF file."""
    model, x = case
    np.save(tmp_path / "x.npy", x)
    tifffile.imwrite(tmp_path / "x.tif", x, photometric="minisblack", planarconfig="contig")
    for image in (x, tmp_path / "x.npy", tmp_path / "x.tif"):
        assert_map(explain(image, model, "conv", target_class=1), model, x)


def test_preprocessing_by_band(case):
    """(x - mean) / std with a value for each band, which may be above 255."""
    model, x = case
    count = x.shape[2]
    mean, std = 1000 + np.arange(count), 2.0 + np.arange(count)
    own = f"none,mean={','.join(map(str, mean))},std={','.join(map(str, std))}"
    classifier = load_model(model, preprocess=own)
    stored = (x * std + mean).astype(np.float32)
    assert_map(explain(stored, classifier, "conv", target_class=1), model, ((stored - mean) / std).astype(np.float32))


def test_values_of_unknown_range_are_not_scaled(case):
    model, x = case
    stored = np.round(np.abs(x) * 1000).astype(np.uint16)
    classifier = load_model(model, preprocess="0..1")
    with pytest.raises(InputError, match="unknown range"):
        explain(stored, classifier, "conv")
    explanation = explain(stored, classifier, "conv", target_class=1, max_value=10_000)
    assert_map(explanation, model, (stored / 10_000).astype(np.float32))


@pytest.mark.parametrize(
    ("own", "reason"),
    [("none,mean=1,2,3,4", "requires 4 channels"), ("bgr", "requires 3 channels"), ("caffe", "requires 3 channels")],
)
def test_preprocessing_for_other_channels_is_refused(own, reason):
    with pytest.raises(UsageError, match=reason):
        load_model(network(5), preprocess=own)


@pytest.mark.parametrize("own", ["0..1,mean=0.1,0.2,std=0.1,0.2,0.3", "bgr,mean=1,2,3,4"])
def test_unequal_numbers_of_values_are_refused(own):
    with pytest.raises(UsageError, match="same number of values"):
        load_model(network(4), preprocess=own)


def test_smoothing_scales_values_of_any_sign(case):
    """Of the six copies, the mirrored ones and the brighter ones are not clipped to the range of pixels."""
    model, x = case
    copies = [factor * copy for copy in (x, x[:, ::-1]) for factor in (0.9, 1.0, 1.1)]
    maps = [independent_map(model, np.ascontiguousarray(copy, np.float32), 1)[1] for copy in copies]
    expected = np.mean([*maps[:3], *(each[:, ::-1] for each in maps[3:])], axis=0)
    explanation = explain(x, model, "conv", target_class=1, aug_smooth=True)
    np.testing.assert_allclose(explanation.cam, expected, atol=1e-5 * expected.max() + 1e-7)


def test_a_directory_of_arrays(cli):
    """--rgb reads the arrays of a directory; unfit images fail with the numbers of their bands; the JSON names it."""
    network(4).save("net.keras")
    (cli.here / "in").mkdir()
    rng = np.random.default_rng(0)
    for name, count in {"a": 4, "b": 5, "c": 3}.items():
        np.save(f"in/{name}.npy", rng.normal(size=(20, 30, count)))
    result = cli("in", "--model", "net.keras", "--rgb", "3,2,1", "--json", "-o", "out")
    records = {record["input"]: record for record in map(json.loads, result.stdout.splitlines())}
    assert result.status == 1
    assert (records["in/a.npy"]["status"], records["in/a.npy"]["rgb"]) == ("ok", "3,2,1")
    assert "4 channels, and this one has 5 bands" in records["in/b.npy"]["error"]
    assert (cli.here / "out/a_gradcam.png").exists()
    again = cli("in", "--model", "net.keras")
    assert again.status == 3
    assert ".npy with --rgb" in again.stderr


def test_a_picture_for_a_model_of_bands_says_what_to_give(cli):
    network(4).save("net.keras")
    keras.utils.save_img("photo.png", np.zeros((5, 5, 3)))
    result = cli("photo.png", "--model", "net.keras")
    assert result.status == 3
    assert "takes images of 4 channels, and a picture has three colors" in result.stderr
    assert "--rgb" in result.stderr


def test_metrics_of_images_of_bands(cli):
    """They are evaluated, also those of a directory with --rgb; no mosaics are made of them."""
    network(4).save("net.keras")
    (cli.here / "in").mkdir()
    for name in "ab":
        np.save(f"in/{name}.npy", np.random.default_rng(0).normal(size=(5, 5, 4)))
    result = cli("evaluate", "in", "--rgb", "3,2,1", "--model", "net.keras", "--metric", "deletion", "--json")
    rows = [record for record in map(json.loads, result.lines) if record["status"] == "ok"]
    assert {row["input"] for row in rows} == {"in/a.npy", "in/b.npy"}
    assert all(0 < row["metrics"]["deletion"] < 1 for row in rows)
    refused = cli("evaluate", "in/a.npy", "--model", "net.keras", "--metric", "grid")
    assert refused.status != 0
