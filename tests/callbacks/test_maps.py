"""The recorded maps: equal to those of `explain`, and to Grad-CAM by hand, on the weights at the end of each epoch."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from PIL import Image
from small_training import CLASSES, SHAPE, cams, grad_cam, images, network, recorded, train

from gradcam_cli import explain
from gradcam_cli.callbacks import GradCAM
from gradcam_cli.callbacks.explainer import Explainer
from gradcam_cli.callbacks.images import shown_pixels, shown_range
from gradcam_cli.errors import ModelError

pytestmark = pytest.mark.slow


class Expected(keras.callbacks.Callback):
    """Computes the maps by hand after each epoch."""

    def __init__(self, x, classes):
        super().__init__()
        self.x, self.classes, self.maps = x, classes, []

    def on_epoch_end(self, epoch, logs=None):
        self.maps.append(grad_cam(self.model, self.x, self.classes))


def test_maps_of_each_epoch_are_those_of_its_weights(tmp_path):
    x, y = images()
    expected = Expected(x[:6], y[:6])
    train([GradCAM(x[:6], log_dir=tmp_path, classes=y[:6]), expected], epochs=3)
    epochs = recorded(tmp_path)
    assert [maps.epoch for maps in epochs] == [0, 1, 2]
    for maps, by_hand in zip(epochs, expected.maps, strict=True):
        np.testing.assert_allclose(cams(maps), by_hand, rtol=1e-4, atol=1e-6)
    assert not np.allclose(expected.maps[0], expected.maps[2], rtol=0.01)


@pytest.mark.parametrize("policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.extended)])
def test_mixed_precision(tmp_path, policy):
    """The activations have 8 or 11 bits, so that the maps are equal to 3 % or 0.4 % of their maximum."""
    keras.config.set_dtype_policy(policy)
    try:
        x, y = images()
        model = train([GradCAM(x[:4], log_dir=tmp_path, classes=y[:4])])
        expected = grad_cam(model, x[:4], y[:4])
    finally:
        keras.config.set_dtype_policy("float32")
    tolerance = {"mixed_bfloat16": 0.03, "mixed_float16": 0.004}[policy] * expected.max()
    np.testing.assert_allclose(cams(recorded(tmp_path)[-1]), expected, atol=tolerance)


@pytest.mark.parametrize(
    "compiled",
    [
        {"jit_compile": True},
        pytest.param({"steps_per_execution": 3}, marks=pytest.mark.extended),
        pytest.param({"optimizer": "accumulates gradients"}, marks=pytest.mark.extended),
    ],
    ids=str,
)
def test_ways_of_training(tmp_path, compiled):
    if compiled.get("optimizer"):
        compiled = {"optimizer": keras.optimizers.Adam(gradient_accumulation_steps=2)}
    x, y = images()
    model = train([GradCAM(x[:4], log_dir=tmp_path, classes=y[:4])], **compiled)
    np.testing.assert_allclose(cams(recorded(tmp_path)[-1]), grad_cam(model, x[:4], y[:4]), rtol=1e-4, atol=1e-6)


def test_equal_to_explain(tmp_path):
    """Of uint8 images, which both take as they are."""
    x, y = images()
    x = ((x + 1) * 127.5).astype(np.uint8)
    model = keras.Sequential([keras.Input(x.shape[1:]), L.Rescaling(1 / 127.5, -1), *network().layers], name="small")
    train([GradCAM(x[:4], log_dir=tmp_path, classes=[0, 1, 2, 3])], model=model, data=(x, y))
    for each, image, c in zip(recorded(tmp_path)[-1].images, x, range(4), strict=False):
        explained = explain(image, model, target_class=c, preprocess="none")
        np.testing.assert_array_equal(each.saved.cam, explained.cam)
        np.testing.assert_array_equal(each.saved.heatmap, explained.heatmap)
        assert each.predicted == explained.predictions[0].to_json()


def test_images_that_are_preprocessed(tmp_path):
    """Files of any size are fitted to the model, as `explain` does it; large pictures are reduced after that."""
    paths = []
    for number, size in enumerate([(700, 500), (30, 40)]):
        paths.append(tmp_path / f"{number}.png")
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), np.uint8)
        Image.fromarray(pixels).resize(size).save(paths[-1])
    model = train([GradCAM(paths, log_dir=tmp_path / "logs", preprocess="-1..1", fit="crop", classes=1)])
    maps = recorded(tmp_path / "logs")[-1]
    for path, each in zip(paths, maps.images, strict=True):
        explained = explain(path, model, target_class=1, preprocess="-1..1", fit="crop")
        np.testing.assert_array_equal(each.saved.cam, explained.cam)
    assert maps.images[0].saved.heatmap.shape == (366, 512)


def explainer(shown, classes="top", shape=SHAPE, **options):
    """The maps of an untrained network, as the callback computes them when a training begins."""
    keras.utils.set_random_seed(1)
    model = network(shape)
    return model, Explainer(model, shown, "auto", classes, "gradcam", {"preprocess": "none", **options}).explain()


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 16, 5)], ids=str)
def test_gray_images_and_bands(shape):
    x, y = images(shape=shape)
    model, maps = explainer(x[:3, ..., 0] if shape[2] == 1 else list(x[:3]), y[:3], shape)
    np.testing.assert_allclose([each.cam for each in maps], grad_cam(model, x[:3], y[:3]), rtol=1e-4, atol=1e-6)


def test_variable_input_size_is_that_of_the_arrays():
    x, _ = images()
    model, maps = explainer(x[:2], 0, (None, None, 3))
    np.testing.assert_allclose([each.cam for each in maps], grad_cam(model, x[:2], [0, 0]), rtol=1e-4, atol=1e-6)


class Subclassed(keras.Model):
    """A model without an input shape, which is built by its first call."""

    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(network().layers)

    def call(self, x, training=False):
        return self.inner(x, training=training)


def test_model_without_an_input_shape(tmp_path):
    """The model is called on a batch before the training; without weights, it is refused, as by `BackupAndRestore`."""
    x, y = images()
    watch = GradCAM(x[:2], log_dir=tmp_path, classes=y[:2])
    with pytest.raises(ModelError, match="expected a model that is built, got one without weights"):
        train([watch], epochs=1, model=Subclassed())
    model = Subclassed()
    model(x[:1])
    train([watch], epochs=1, model=model)
    expected = grad_cam(model.inner, x[:2], y[:2])
    np.testing.assert_allclose(cams(recorded(tmp_path)[0]), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "expected"), [("top", None), (2, [2, 2, 2]), ("c3", [3, 3, 3]), (np.array([[1], [0], [3]]), [1, 0, 3])]
)
def test_classes(classes, expected):
    """One for all images, one for each, as an array (n, 1) of labels too, or the predicted one."""
    x, _ = images()
    model, maps = explainer(x[:3], classes, labels=[f"c{c}" for c in range(CLASSES)])
    expected = expected or model.predict(x[:3], verbose=0).argmax(1).tolist()
    assert [str(each.prediction) for each in maps] == [f"{c} c{c}" for c in expected]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (np.uint8([[0, 51]]), [0, 51]),
        (np.float32([[0, 0.2]]), [0, 51]),
        (np.float32([[0, 51]]), [0, 51]),
        (np.float32([[-1, 1]]), [0, 255]),
        (np.float32([[-2, 0], [0, 3]]), [0, 102, 102, 255]),
    ],
    ids=str,
)
def test_shown_pixels(values, shown):
    """0 to 255 and 0 to 1 are shown as they are, and others from the smallest to the largest value."""
    pixels = shown_pixels(values[..., None].astype(np.float32), *shown_range(values, None), None)
    assert pixels[..., 0].ravel().tolist() == shown


def test_shown_bands():
    """`max_value` is white, and `rgb` selects the channels."""
    values = np.float32([[[0, 500, 1000]]])
    assert shown_pixels(values, *shown_range(values, 1000), "3,2,1").ravel().tolist() == [255, 128, 0]


def test_every(tmp_path):
    """The first epoch always has maps, and the logs of all epochs until the next maps are kept."""
    x, _ = images()
    train([GradCAM(x[:2], log_dir=tmp_path, every=2)], epochs=3)
    epochs = recorded(tmp_path)
    assert [(maps.epoch, list(maps.logs)) for maps in epochs] == [(0, [0]), (2, [1, 2])]
