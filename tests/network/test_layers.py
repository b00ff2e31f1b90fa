"""Listing and search of layers, and the default layer."""

import keras
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.catalog import catalog
from gradcam_cli.models.classifier import load_model
from gradcam_cli.network.layer_choice import default_layer, layer_check
from gradcam_cli.network.layer_info import layer_info
from gradcam_cli.network.layer_trace import trace_layers
from gradcam_cli.network.layers import find_layer, iter_layers

FAST_MODELS = """lite0 mini vgg16 vgg19 resnet50 resnet50v2 mobilenet mobilenetv2 mobilenetv3small efficientnetb0
convnexttiny xception""".split()


def check(model, outputs, shape):
    return layer_check(model, outputs, lambda pixels: pixels / 255, shape)


def default_path(model, shape):
    outputs = trace_layers(model, shape)
    return default_layer(outputs, check(model, outputs, shape)).path


def infos(model, shape):
    outputs = trace_layers(model, shape)
    return {output.path: layer_info(output, check(model, outputs, shape)) for output in outputs}


def computed_default_layer(name):
    keras.backend.clear_session()  # resets the numbers in layer names
    classifier = load_model(name, weights="none")
    output = classifier.find_layer("auto")
    h, w, _ = classifier.input_shape
    assert (output.grid.proven, output.grid.edges) == (True, ((0, h), (0, w)))
    return output.path


@pytest.mark.parametrize(
    "name", [name if name in FAST_MODELS else pytest.param(name, marks=pytest.mark.extended) for name in catalog()]
)
def test_default_layer_of_every_catalog_model(name):
    """The default layer of the built model equals that of the catalog."""
    assert computed_default_layer(name) == catalog()[name].default_layer


def test_vgg19_layers_equal_the_paper():
    """Shapes and parameters of VGG19's convolutions are those of the paper (K1*K2*C*F + F)."""
    model = keras.applications.VGG19(weights=None)
    layers = infos(model, (224, 224, 3))
    conv = layers["block5_conv4"]
    assert conv[1:-1] == ("Conv2D", (14, 14, 512), (3, 3), (1, 1), "same", 3 * 3 * 512 * 512 + 512, None)
    assert layers["block1_conv1"].num_params == 3 * 3 * 3 * 64 + 64
    assert layers["block5_pool"][1:6] == ("MaxPooling2D", (7, 7, 512), (2, 2), (2, 2), "valid")
    assert next(iter(layers)) == "block1_conv1"
    assert "flatten" not in layers


def test_number_of_parameters_of_a_convolution():
    """Ten 5x5 filters on three channels have 760 parameters and map 200x200 to 196x196."""
    model = keras.Sequential([keras.Input((200, 200, 3)), L.Conv2D(10, 5), L.GlobalAveragePooling2D(), L.Dense(2)])
    (layer,) = [layer for layer in infos(model, (200, 200, 3)).values() if layer.layer_type == "Conv2D"]
    assert (layer.num_params, layer.shape) == (760, (196, 196, 10))


def test_default_layer_skips_shape_only_layers():
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            L.Conv2D(4, 3, name="conv"),
            L.SpatialDropout2D(0.1),
            L.MaxPooling2D(),
            L.Reshape((7, 7, 4)),
            L.GlobalAveragePooling2D(keepdims=True),
            L.Conv2D(5, 1, name="one_by_one"),
            L.Flatten(),
        ]
    )
    assert default_path(model, (16, 16, 3)) == "conv"


def test_model_without_spatial_layer_is_refused():
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Flatten(), L.Dense(2)])
    with pytest.raises(ModelError, match="no layer whose output is a grid"):
        default_path(model, (8, 8, 3))


def test_find_layer_by_path_and_by_unique_name():
    inner = small_network()
    model = keras.Sequential([keras.Input((12, 12, 3)), inner, L.Dense(2)])
    assert find_layer(model, "small/conv2")[0] == "small/conv2"
    assert find_layer(model, "conv2") == ("small/conv2", inner.get_layer("conv2"))
    assert "small" in dict(iter_layers(model))


@pytest.mark.parametrize(("path", "near"), [("conv3", "small/conv"), ("smal/conv1", "small/conv1")])
def test_unknown_layers_have_near_matches(path, near):
    model = keras.Sequential([keras.Input((12, 12, 3)), small_network(), L.Dense(2)])
    with pytest.raises(UsageError) as caught:
        find_layer(model, path)
    assert near in caught.value.hint
    assert "gradcam layers" in caught.value.hint


def test_ambiguous_names_are_listed():
    twice = [keras.Sequential([keras.Input((9, 9, 3)), L.Conv2D(3, 1, name="conv")], name=name) for name in "ab"]
    model = keras.Sequential([keras.Input((9, 9, 3)), *twice])
    with pytest.raises(UsageError, match="several layers 'conv'") as caught:
        find_layer(model, "conv")
    assert "a/conv, b/conv" in caught.value.hint


def test_channels_first_is_rejected():
    x = keras.Input((8, 8, 3))
    y = L.Permute((3, 1, 2))(x)
    y = L.GlobalAveragePooling2D(data_format="channels_first")(
        L.Conv2D(2, 3, data_format="channels_first", name="c")(y)
    )
    with pytest.raises(ModelError, match="c is channels_first") as caught:
        load_model(keras.Model(x, y))
    assert "channels_last" in caught.value.hint
