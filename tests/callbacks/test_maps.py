"""The recorded maps: equal to those of `explain`, and to Grad-CAM by hand, on the weights at the end of each epoch."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from PIL import Image
from small_training import CLASSES, cams, grad_cam, images, network, recorded, train

from gradcam_cli import explain
from gradcam_cli.callbacks import GradCAM

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


@pytest.mark.parametrize("shape", [(16, 16, 1), (16, 16, 5)], ids=str)
def test_gray_images_and_bands(tmp_path, shape):
    x, y = images(shape=shape)
    callback = GradCAM(x[:3, ..., 0] if shape[2] == 1 else list(x[:3]), log_dir=tmp_path, classes="top")
    model = train([callback], epochs=1, model=network(shape), data=(x, y))
    classes = model.predict(x[:3], verbose=0).argmax(1)
    np.testing.assert_allclose(cams(recorded(tmp_path)[0]), grad_cam(model, x[:3], classes), rtol=1e-4, atol=1e-6)


def test_variable_input_size_is_that_of_the_arrays(tmp_path):
    x, _ = images()
    model = train([GradCAM(x[:2], log_dir=tmp_path, classes=0)], epochs=1, model=network((None, None, 3)))
    np.testing.assert_allclose(cams(recorded(tmp_path)[0]), grad_cam(model, x[:2], [0, 0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "expected"), [("top", None), (2, [2, 2, 2]), ("c3", [3, 3, 3]), (np.array([[1], [0], [3]]), [1, 0, 3])]
)
def test_classes(tmp_path, classes, expected):
    """One for all images, one for each, as an array (n, 1) of labels too, or the predicted one."""
    x, _ = images()
    labels = [f"c{c}" for c in range(CLASSES)]
    model = train([GradCAM(x[:3], log_dir=tmp_path, classes=classes, labels=labels)], epochs=1)
    expected = expected or model.predict(x[:3], verbose=0).argmax(1).tolist()
    metadata = [each.saved.metadata for each in recorded(tmp_path)[0].images]
    assert [each["class_index"] for each in metadata] == expected
    assert [each["class_name"] for each in metadata] == [f"c{c}" for c in expected]


def test_every(tmp_path):
    """The first epoch always has maps, and the logs of all epochs until the next maps are kept."""
    x, _ = images()
    train([GradCAM(x[:2], log_dir=tmp_path, every=2)], epochs=3)
    epochs = recorded(tmp_path)
    assert [(maps.epoch, list(maps.logs)) for maps in epochs] == [(0, [0]), (2, [1, 2])]
