"""The preprocessing that a model needs is measured: what do its first weights receive?"""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import explain
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.input_range import choose_preprocess
from gradcam_cli.network.input_probe import probe_input

SHAPE = (16, 16, 3)


def classifier(*before, **options):
    """A network whose first convolution is preceded by layers or functions."""
    x = inputs = keras.Input(SHAPE)
    for layer in before:
        x = layer(x)
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, padding="same", activation="relu", **options)(x))
    return keras.Model(inputs, L.Dense(3, activation="softmax")(y))


KINDS = {
    "Rescaling to 0..1": ([L.Rescaling(1 / 255)], "none"),
    "Rescaling to -1..1": ([L.Rescaling(1 / 127.5, -1)], "none"),
    "operations": ([lambda x: x / 127.5 - 1], "none"),
    "caffe": ([keras.applications.vgg16.preprocess_input], "none"),
    "torch": ([keras.applications.densenet.preprocess_input], "none"),
    "Normalization of 0..255": ([L.Normalization(mean=[124, 116, 104], variance=[3400, 3300, 3400])], "none"),
    "Normalization of 0..1": ([L.Normalization(mean=[0.49, 0.46, 0.41], variance=[0.06, 0.06, 0.07])], "0..1"),
    "resized, padded, rescaled": ([L.Resizing(8, 8), L.ZeroPadding2D(2), L.Rescaling(1 / 255)], "none"),
    "nothing": ([], "0..1"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_input_range_is_measured(kind):
    before, expected = KINDS[kind]
    assert choose_preprocess(classifier(*before), SHAPE, None).mode == expected


def test_a_first_batch_normalization_of_0_1_is_measured():
    model = classifier(L.BatchNormalization(name="first"))
    model.get_layer("first").set_weights([np.ones(3), np.zeros(3), np.full(3, 0.5), np.full(3, 0.06)])
    assert choose_preprocess(model, SHAPE, None).mode == "0..1"


def test_received_values_are_those_of_the_layers():
    """BGR and ImageNet's means, as Keras's `caffe` mode: values worked out by hand."""
    probe = probe_input(classifier(keras.applications.vgg16.preprocess_input), SHAPE)
    np.testing.assert_allclose(probe.received[0], [-103.939, -116.779, -123.68], rtol=1e-5)
    np.testing.assert_allclose(probe.received[3], [151.061, 138.221, 131.32], rtol=1e-5)


@pytest.mark.parametrize("kind", ["caffe", "Normalization of 0..1"])
def test_explained_probability_is_that_of_the_model(kind):
    """The preprocessing is applied once: the probability is that of the model on its own input."""
    before, mode = KINDS[kind]
    keras.utils.set_random_seed(0)
    model = classifier(*before)
    image = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    own = model((image / (255 if mode == "0..1" else 1))[None].astype(np.float32)).numpy()[0]
    result = explain(image, model)
    assert result.prediction.probability == pytest.approx(own[result.prediction.index], abs=1e-5)


def test_unknown_range_is_a_guess():
    choice = load_model(classifier()).preprocess_choice
    assert (choice.mode, choice.guess) == ("0..1", True)


def test_a_measured_range_is_no_guess_and_names_the_values():
    """-123.68 and 255 - 103.939 = 151.061 are the ends of Keras's `caffe` mode."""
    choice = choose_preprocess(classifier(keras.applications.vgg16.preprocess_input), SHAPE, None)
    assert (choice.reason, choice.guess) == ("the model itself converts 0..255 to -124..151", False)


def test_the_trace_ends_after_the_first_weights():
    """The layers behind them are not called."""
    called = []

    class Behind(keras.layers.Layer):
        def call(self, x):
            called.append(x)
            return x

    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(2, 3)(x)
    model = keras.Model(inputs, Behind()(x))
    called.clear()
    assert probe_input(model, (8, 8, 3)).range_of(0, 255) == (0, 1)
    assert called == []
