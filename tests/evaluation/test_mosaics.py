"""Metrics on mosaics of a network whose maps are known by hand."""

import keras
import numpy as np
import pytest
from tile_network import COLORS, OWN, SHARED, SIDE, color_arrays, tile_network

from gradcam_cli import evaluate, load_model
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.mosaics.prepare import mosaic_classifier

BASELINES = ("random", "center", "uniform")


def means(model, metrics=("grid", "impossible"), images=None, **options):
    """Return the mean metrics by method."""
    images = color_arrays() if images is None else images
    results = evaluate(images, model, metrics=metrics, mosaics=24, progress=False, **options)
    return {mean["method"]: mean for mean in results.mean_metrics}, results


@pytest.fixture(scope="module")
def classifier():
    return load_model(tile_network(), preprocess="0..1")


def test_local_network_has_all_heat_in_the_tile():
    """If the score of a color depends on the cells of this color only, every method with gradients finds them."""
    local = load_model(tile_network(shared=0), preprocess="0..1")
    methods = ("gradcam", "gradcam++", "layercam", "hirescam", "xgradcam")
    found, results = means(local, methods=methods)
    for method in methods:
        assert found[method]["grid"] == pytest.approx(1, abs=1e-6)
        assert found[method]["grid-peak"] == 1
        assert found[method]["impossible"] == pytest.approx(0, abs=1e-6)
    assert str(results.mosaics) == "24 mosaics of 4 inputs; valid cases: 100% (96 of 96)"


def test_shares_of_a_shared_channel_by_hand(classifier):
    """Red: 12 in the red tile, 2 in the green and the blue one; black: 10 in the black tile, 2 in the others."""
    found, _ = means(classifier, methods=("gradcam", "hirescam", "layercam"))
    both, own = OWN + SHARED, OWN
    shares = [both / (both + 2 * SHARED)] * 3 + [own / (own + 3 * SHARED)]
    assert found["gradcam"]["grid"] == pytest.approx(np.mean(shares), abs=1e-6)
    assert found["gradcam"]["grid-peak"] == 1
    assert found["gradcam"]["impossible"] == pytest.approx(1 - np.mean(shares), abs=1e-6)
    for local in ("hirescam", "layercam"):  # they multiply each activation by its own gradient
        assert found[local]["grid"] == pytest.approx(np.mean(shares), abs=1e-6)
        assert found[local]["impossible"] == 0


def test_head_receives_one_tile(classifier):
    """A score that only the other tiles would raise has no gradient: y = relu(mean of the shared channel - 1/2).

    In a mosaic with a black tile this mean is 3/4; with one tile alone it is at most 1/4. If the head received all
    tiles, Grad-CAM would have heat outside of the tile.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    A = keras.layers.Conv2D(5, 1, activation="relu", name="conv")(inputs)
    m = keras.layers.GlobalAveragePooling2D()(A)
    gate = keras.layers.Dense(1, activation="relu", name="gate")(m)
    logits = keras.layers.Dense(4, activation="softmax", name="predictions")(keras.layers.Concatenate()([m, gate]))
    network = keras.Model(inputs, logits)
    network.get_layer("conv").set_weights(classifier.model.get_layer("conv").get_weights())
    network.get_layer("gate").set_weights([np.array([[0], [0], [0], [0], [1]]), np.array([-0.5])])
    network.get_layer("predictions").set_weights(
        [np.concatenate([OWN * np.eye(4), np.zeros((1, 4)), np.full((1, 4), 4)]), np.zeros(4)]
    )
    found, _ = means(load_model(network, preprocess="0..1"), methods="gradcam")
    assert found["gradcam"]["grid"] < 0.8  # the gate is open for the whole mosaic
    assert found["gradcam"]["impossible"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("side", [SIDE, 7])
def test_class_agnostic_maps_have_a_quarter(side):
    """Whatever their values, since the shares of the four tiles sum to 1; also if the border divides cells."""
    model = load_model(tile_network(side), preprocess="0..1")
    found, results = means(model, methods="eigencam", metrics="grid")
    for method in ("eigencam", *BASELINES):
        assert found[method]["grid"] == pytest.approx(0.25, abs=1e-6)
        assert found[method]["grid-peak"] == pytest.approx(0.25, abs=1e-6)
        assert found[method]["intervals"]["grid"] == pytest.approx((0.25, 0.25), abs=1e-6)
    assert {row.values["grid"] for row in results.rows} == {0.25}  # exactly, so that none is ranked above another


def test_mosaic_is_twice_the_size_for_a_network_of_any_size(classifier):
    assert mosaic_classifier(classifier).input_shape == (SIDE, SIDE, 3)
    free = load_model(tile_network(None), preprocess="0..1", input_size=(SIDE, SIDE))
    assert mosaic_classifier(free).input_shape == (2 * SIDE, 2 * SIDE, 3)
    squashed, double = (means(model, methods="gradcam")[0]["gradcam"] for model in (classifier, free))
    for name in ("grid", "grid-peak", "grid-valid", "impossible"):
        assert double[name] == pytest.approx(squashed[name], abs=1e-6)


def test_only_predicted_classes_are_valid():
    """Of eight classes, four of them always above red: the map of red is right, but its case is not valid."""
    network = tile_network()
    kernel, bias = network.get_layer("predictions").get_weights()
    inputs = keras.Input((SIDE, SIDE, 3))
    x = network.get_layer("mean")(network.get_layer("conv")(inputs))
    more = keras.layers.Dense(8, activation="softmax", name="more")
    model = keras.Model(inputs, more(x))
    kernel = np.concatenate([kernel, np.full((5, 4), SHARED)], axis=1)
    more.set_weights([kernel, np.concatenate([bias, [3, 3, 3, 3]])])  # a mosaic gives each color 10 / 4
    found, results = means(load_model(model, preprocess="0..1"), methods="gradcam", metrics="grid")
    assert results.mosaics.cases == 96
    assert results.mosaics.valid_cases == 24  # one of four equal colors is the fifth prediction
    valid = [row for row in results.rows if row.method == "gradcam"]
    for row in valid:
        counted = [tile["metrics"]["grid"] for tile in row.tiles if tile["rank"]]
        assert row.values["grid-valid"] == pytest.approx(np.mean(counted))
        assert row.values["grid"] == pytest.approx(np.mean([tile["metrics"]["grid"] for tile in row.tiles]))
    assert found["gradcam"]["grid"] > 0.5


def test_photos_need_a_sure_class(classifier):
    """Three colors and a mix of all are no mosaic, and the error counts classes and photos."""
    gray = np.full((1, SIDE, SIDE, 3), 90, np.uint8)
    images = np.concatenate([color_arrays()[:3], gray])
    with pytest.raises(InputError, match=r"probability of at least 0\.9: expected 4, got 3 \(3 of 4 inputs\)"):
        means(classifier, images=images)
    with pytest.raises(UsageError, match="mosaic_probability: expected a number from 0 to 1, got 2"):
        means(classifier, mosaic_probability=2)


def test_models_of_two_classes_are_refused():
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.GlobalMaxPooling2D()])
    network.add(keras.layers.Softmax())
    with pytest.raises(UsageError, match="at least 4 classes, got 2"):
        means(load_model(network, preprocess="0..1"))


def test_metrics_on_images_and_on_mosaics_in_one_call(classifier):
    found, results = means(classifier, metrics=["average-drop", "grid"], methods="gradcam")
    assert results.num_images == 4
    assert results.mosaics.mosaics == 24
    assert found["gradcam"]["average-drop"] is not None
    alone, _ = means(classifier, metrics="grid", methods="gradcam")
    assert found["gradcam"]["grid"] == pytest.approx(alone["gradcam"]["grid"])
    with pytest.raises(UsageError, match="got an iterator"):
        means(classifier, metrics=["average-drop", "grid"], images=iter(color_arrays()))


def test_photos_of_mosaics_are_a_seeded_sample(classifier):
    """Of forty sure photos and one mosaic, four are kept."""
    options = {"metrics": "grid", "mosaics": 1, "progress": False}
    photos = [
        [tile["photo"] for tile in evaluate(color_arrays(10), classifier, seed=seed, **options).rows[0].tiles]
        for seed in (2, 2, 5)
    ]
    assert photos[0] == photos[1] != photos[2]
    assert set(COLORS) == {"red", "green", "blue", "black"}
