"""`explain_many`: the maps of `explain`, from batches, in order, and with bounded memory."""

import weakref

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_models import small_network

from gradcam_cli import Failure, explain, explain_many, load_model
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.load import LoadedImage

IMAGES = np.random.default_rng(2).integers(0, 256, (7, 12, 12, 3), np.uint8)


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="0..1")


def assert_equal_maps(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.cam, other.cam, rtol=1e-5, atol=1e-7)
        assert (one.layer, one.method, one.prediction.index) == (other.layer, other.method, other.prediction.index)


@pytest.fixture(scope="module")
def single(classifier):
    return [explain(image, classifier) for image in IMAGES]


DATASET = tf.data.Dataset.from_tensor_slices(IMAGES)
LABELED = tf.data.Dataset.from_tensor_slices((IMAGES, np.arange(7)))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: list(IMAGES), id="list"),
        pytest.param(lambda: IMAGES, id="array"),
        pytest.param(lambda: tf.constant(IMAGES), id="tensor"),
        pytest.param(lambda: (image for image in IMAGES), id="generator"),
        pytest.param(lambda: iter([IMAGES[:4], IMAGES[4:]]), id="generator of batches"),
        pytest.param(lambda: DATASET, id="dataset"),
        pytest.param(lambda: DATASET.batch(3), id="batched dataset"),
        pytest.param(lambda: LABELED, id="labeled dataset"),
        pytest.param(lambda: LABELED.batch(3), id="batched labeled dataset"),
        pytest.param(lambda: DATASET.map(lambda x: tf.cast(x, tf.float32)).batch(2), id="float dataset"),
        pytest.param(lambda: IMAGES / 255, id="float array"),
        pytest.param(lambda: map(Image.fromarray, IMAGES), id="pillow"),
    ],
)
def test_maps_are_those_of_explain(make, classifier, single):
    found = list(explain_many(make(), classifier, batch_size=3))
    assert_equal_maps(found, single)
    assert [each.source for each in found] == [f"images[{i}]" for i in range(7)]


def test_maps_of_an_image_come_from_one_pass(classifier, monkeypatch):
    """Two layers, two methods and the two best classes of each of seven images: three passes of at most three."""
    options = {"layers": ["conv1", "conv2"], "methods": ["gradcam", "layercam"], "classes": ["top1", 0]}
    passes = []
    original = type(classifier.traced).gradient_function

    def counted(traced, *arguments):
        function = original(traced, *arguments)
        return lambda x, classes: (passes.append(len(x)), function(x, classes))[1]

    monkeypatch.setattr(type(classifier.traced), "gradient_function", counted)
    found = list(explain_many(IMAGES, classifier, batch_size=3, **options))
    assert passes == [3, 3, 3]  # the last one is padded
    expected = [
        explain(image, classifier, layer, method=method, target_class=target)
        for image in IMAGES
        for layer in options["layers"]
        for method in options["methods"]
        for target in options["classes"]
    ]
    assert_equal_maps(found, expected)


def test_options_are_those_of_explain(classifier):
    (found,) = explain_many([IMAGES[0]], classifier, fit="crop", counterfactual=True, top_k=2)
    expected = explain(IMAGES[0], classifier, fit="crop", counterfactual=True, top_k=2)
    assert_equal_maps([found], [expected])
    assert len(found.predictions) == 2


def test_paths_in_an_array(classifier, photo):
    paths = np.array([str(photo("a.png")), str(photo("b.png"))])
    assert [each.source for each in explain_many(paths, classifier)] == list(paths)


def test_an_unreadable_image_ends_the_run_or_is_yielded(classifier, photo, tmp_path):
    """By default with its error at its place; the images before it are explained."""
    images = [photo("a.png"), tmp_path / "none.png", IMAGES[0]]
    run = explain_many(images, classifier, batch_size=1)
    assert next(run).source == str(images[0])
    with pytest.raises(InputError, match=r"none\.png: cannot be read"):
        next(run)
    first, failed, last = explain_many(images, classifier, on_error="yield")
    assert (first.source, last.source) == (str(images[0]), "images[2]")
    assert isinstance(failed, Failure)
    assert failed.source == str(images[1])
    negative = np.full((2, 4, 4, 3), -1.0)
    assert [each.source for each in explain_many(iter([negative]), classifier, on_error="yield")] == [
        "images[0]",
        "images[1]",
    ]


@pytest.mark.parametrize("images", ["a.png", b"x", Image.fromarray(IMAGES[0]), IMAGES[0], IMAGES[0, 0], 3, None])
def test_a_single_image_is_refused_at_the_call(images, classifier):
    with pytest.raises(UsageError, match="images: expected"):
        explain_many(images, classifier)


def test_wrong_options_are_refused_at_the_call(classifier):
    for options in ({"layers": "none"}, {"methods": "none"}, {"classes": 99}, {"on_error": "skip"}, {"batch_size": 0}):
        with pytest.raises(UsageError):
            explain_many(IMAGES, classifier, **options)


@pytest.mark.parametrize("batch_size", [2, 5])
def test_images_of_at_most_two_batches_are_alive(classifier, batch_size, monkeypatch):
    """Counted after each explanation, while 40 images are generated and the explanations are dropped."""
    alive, generated, counts = weakref.WeakSet(), 0, []
    original = LoadedImage.__init__

    def counted(image, *arguments, **options):
        original(image, *arguments, **options)
        alive.add(image)

    def images():
        nonlocal generated
        for seed in range(40):
            generated += 1
            yield np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)

    monkeypatch.setattr(LoadedImage, "__init__", counted)
    for number, _ in enumerate(explain_many(images(), classifier, batch_size=batch_size)):
        counts.append(len(alive))
        assert generated <= number + batch_size  # images are drawn when their batch is due
    assert len(counts) == 40
    assert 0 < max(counts) <= 2 * batch_size
