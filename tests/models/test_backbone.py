"""A backbone is recognized by its name, by its weights, or by the shapes of its kernels, in this order."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli.models.backbone import (
    find_backbone,
    find_spec_by_structure,
    find_spec_by_weights,
    fingerprint,
    structure_digests,
)
from gradcam_cli.models.classifier import load_model


def flattened(backbone, classes=2):
    """The layers of a backbone without its name, as in transfer learning, with a new head."""
    y = L.GlobalAveragePooling2D()(backbone.output)
    return keras.Model(backbone.input, L.Dense(classes, activation="softmax")(y), name="animals")


def mobilenet(alpha=0.25, **options):
    return keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=alpha, **options
    )


def test_fingerprint_is_the_sum_over_rows_and_columns():
    """A kernel of ones and twos: 2 x 2 positions give 4 and 8."""
    model = keras.Sequential([keras.Input((4, 4, 3)), L.Conv2D(2, 2, use_bias=False)])
    model.set_weights([np.stack([np.ones((2, 2, 3)), np.full((2, 2, 3), 2.0)], axis=3)])
    assert fingerprint(model) == {"kernel": [2, 2, 3, 2], "values": [4, 8, 4, 8, 4, 8]}


def test_model_without_a_convolution_has_no_fingerprint():
    model = keras.Sequential([keras.Input((4, 4, 3)), L.Flatten(), L.Dense(2)])
    assert fingerprint(model) is None
    assert find_backbone(model) is None


def test_digest_depends_on_shapes_not_on_values_or_heads():
    keras.utils.set_random_seed(1)
    backbone = mobilenet()
    digests = list(structure_digests(backbone))
    assert list(structure_digests(flattened(mobilenet()))) == digests
    assert list(structure_digests(mobilenet(alpha=0.5)))[-1] != digests[-1]


@pytest.mark.parametrize(
    ("function", "options"),
    [("MobileNet", {"alpha": 0.25}), ("MobileNet", {}), ("MobileNetV2", {"alpha": 0.35}), ("MobileNetV2", {})],
)
def test_renamed_backbone_is_recognized_by_its_structure(function, options):
    build = getattr(keras.applications, function)
    model = flattened(build(weights=None, include_top=False, input_shape=(32, 32, 3), **options))
    backbone = find_backbone(model)
    assert (backbone.spec.keras_function, backbone.guess) == (function, True)
    assert backbone.reason == f"its kernels have the shapes of {function.lower()}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "function", ["ResNet50", "ResNet50V2", "DenseNet121", "VGG16", "InceptionV3", "Xception", "EfficientNetB0"]
)
def test_architectures_are_told_apart(function):
    """ResNet50 and ResNet50V2 have the same kernels, and differ in their biases."""
    build = getattr(keras.applications, function)
    model = flattened(build(weights=None, include_top=False, input_shape=(96, 96, 3)))
    assert find_spec_by_structure(model).keras_function == function


def test_structure_is_a_guess_without_class_names():
    """A model trained from scratch may have other classes and another preprocessing."""
    classifier = load_model(flattened(mobilenet(), classes=1000))
    assert (classifier.preprocess_mode, classifier.preprocess_choice.guess) == ("tf", True)
    assert classifier.labels.names == ()


def test_name_is_stronger_than_structure():
    model = keras.Sequential([keras.Input((32, 32, 3)), mobilenet(name="vgg16"), L.Flatten(), L.Dense(2)])
    backbone = find_backbone(model)
    assert (backbone.spec.name, backbone.guess) == ("vgg16", False)


def test_preprocessing_inside_the_model_is_stronger_than_the_structure():
    inputs = keras.Input((32, 32, 3))
    scaled = L.Rescaling(1 / 127.5, -1)(inputs)
    model = flattened(mobilenet(input_tensor=scaled))
    choice = load_model(keras.Model(inputs, model.output)).preprocess_choice
    assert (choice.mode, choice.guess) == ("none", False)


@pytest.mark.parametrize(
    ("name", "layer", "mode"), [("lite0", "top_conv", "none,mean=127,std=128"), ("mini", "block5_conv4", "-1..1")]
)
def test_built_in_model_is_recognized_without_its_name(name, layer, mode):
    """Fine-tuned with a new head, it keeps its preprocessing; it has its class names only if it has all classes."""
    source = load_model(name)
    model = flattened(keras.Model(source.model.input, source.model.get_layer(layer).output))
    classifier = load_model(model)
    assert (classifier.preprocess_mode, classifier.preprocess_choice.guess) == (mode, False)
    assert f"its first kernels are those of {name}" in classifier.preprocess_choice.reason
    assert classifier.labels.names == ()
    renamed = keras.Model(source.model.inputs, source.model.outputs, name="animals")
    assert load_model(renamed).labels == source.labels


@pytest.mark.slow
def test_trained_mobilenet_is_recognized_without_its_name(data, tmp_path):
    """By its weights: also after a little training, and after its weights were rounded to 8 bits; not with others."""
    source = keras.saving.load_model(data / "models/mobilenet_0.75_224.keras", compile=False)
    model = keras.Model(source.inputs, source.outputs, name="animals")
    backbone = find_backbone(model)
    assert (backbone.spec.name, backbone.guess) == ("mobilenet", False)
    assert "its first kernels are those of mobilenet" in backbone.reason
    kernel = next(weight for weight in model.weights if len(weight.shape) == 4)
    original, rng = kernel.numpy(), np.random.default_rng(0)
    kernel.assign(original + 0.02 * original.std() * rng.standard_normal(original.shape))
    assert find_spec_by_weights(model).name == "mobilenet"
    step = np.ptp(original) / 255
    kernel.assign(np.round(original / step) * step)
    assert find_spec_by_weights(model).name == "mobilenet"
    kernel.assign(original.std() * rng.standard_normal(original.shape))
    assert find_spec_by_weights(model) is None


@pytest.mark.slow
def test_trained_vgg19_is_recognized_without_its_name(vgg19):
    model = keras.Model(vgg19.model.inputs, vgg19.model.get_layer("block2_pool").output, name="features")
    assert find_spec_by_weights(model).name == "vgg19"
