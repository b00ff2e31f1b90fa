"""Configurations of Keras 2, layer by layer: the opened model computes what the layer of Keras 3 computes."""

import json

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli.errors import ModelError
from gradcam_cli.models.keras2.translate import is_keras2, translate
from gradcam_cli.models.model_files import load_model_file

SHAPE = (6, 5, 4)
X = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
ZEROS = {"class_name": "Zeros", "config": {"dtype": "float32"}}
UNIFORM = {"class_name": "GlorotUniform", "config": {"seed": None}}
NONE = dict.fromkeys(("kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint"))
CONV = {
    "kernel_size": [3, 3],
    "strides": [1, 1],
    "padding": "same",
    "dilation_rate": [1, 1],
    "activation": "relu",
    **NONE,
}
CONV |= {"use_bias": True, "bias_initializer": ZEROS, "data_format": "channels_last", "bias_constraint": None}


def layer(kind, config, nodes):
    config = {"name": "tested", "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "name": "tested", "config": config, "inbound_nodes": nodes}


INPUT = {
    "class_name": "InputLayer",
    "name": "image",
    "config": {
        "batch_input_shape": [None, *SHAPE],
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
        "name": "image",
    },
    "inbound_nodes": [],
}


def functional(*layers, output="tested", name="model", call=0):
    outputs = [[output, call, 0]]
    config = {"name": name, "trainable": True, "layers": [INPUT, *layers], "input_layers": [["image", 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": outputs}}


def open_with(tmp_path, native, config):
    """Save a model of Keras 3 as HDF5, replace its configuration, and open the file."""
    native.save(tmp_path / "old.h5")
    with h5py.File(tmp_path / "old.h5", "a") as file:
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.9.0"
    return load_model_file(tmp_path / "old.h5", allow_unsafe=False)


def native_model(*layers):
    x = keras.Input(SHAPE, name="image")
    y = x
    for each in layers:
        y = each(y)
    model = keras.Model(x, y)
    rng = np.random.default_rng(1)
    model.set_weights([np.abs(rng.normal(size=w.shape)) for w in model.get_weights()])
    return model


NORMALIZATION = {"axis": [3], "momentum": 0.99, "epsilon": 1e-3, "center": True, "scale": True, "fused": True}
LAYERS = {
    "convolution": (
        "Conv2D",
        {**CONV, "filters": 5, "groups": 1, "kernel_initializer": UNIFORM},
        L.Conv2D(5, 3, 1, "same", activation="relu", name="tested"),
    ),
    "grouped convolution": (
        "Conv2D",
        {**CONV, "filters": 6, "groups": 2, "kernel_initializer": UNIFORM},
        L.Conv2D(6, 3, 1, "same", groups=2, activation="relu", name="tested"),
    ),
    "depthwise": (
        "DepthwiseConv2D",
        {**CONV, "groups": 1, "depth_multiplier": 2, "depthwise_initializer": UNIFORM, "filters": None},
        L.DepthwiseConv2D(3, 1, "same", 2, activation="relu", name="tested"),
    ),
    "separable": (
        "SeparableConv2D",
        {
            **CONV,
            "filters": 5,
            "groups": 1,
            "depth_multiplier": 1,
            "kernel_initializer": UNIFORM,
            "depthwise_initializer": UNIFORM,
            "pointwise_initializer": UNIFORM,
        },
        L.SeparableConv2D(5, 3, 1, "same", activation="relu", name="tested"),
    ),
    "transposed": (
        "Conv2DTranspose",
        {**CONV, "filters": 5, "groups": 1, "output_padding": None, "kernel_initializer": UNIFORM, "strides": [2, 2]},
        L.Conv2DTranspose(5, 3, 2, "same", activation="relu", name="tested"),
    ),
    "normalization": ("BatchNormalization", NORMALIZATION, L.BatchNormalization(name="tested")),
    "synchronized": ("SyncBatchNormalization", NORMALIZATION, L.BatchNormalization(name="tested")),
    "leaky": ("LeakyReLU", {"alpha": 0.25}, L.LeakyReLU(0.25, name="tested")),
    "swish": ("Activation", {"activation": "swish"}, L.Activation("silu", name="tested")),
    "policy": (
        "Activation",
        {"activation": "tanh", "dtype": {"class_name": "Policy", "config": {"name": "float32"}}},
        L.Activation("tanh", name="tested"),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layer_computes_the_same(tmp_path, kind):
    class_name, config, native = LAYERS[kind]
    model = native_model(native)
    opened = open_with(tmp_path, model, functional(layer(class_name, config, [[["image", 0, 0, {}]]])))
    np.testing.assert_allclose(opened(X), model(X), rtol=1e-5, atol=1e-6)


def operation(function, arguments, first=("image", 0, 0), kind="TFOpLambda"):
    node = [*first, {**arguments, "name": None}]
    return layer(kind, {"function": function}, [node])


def slices(*parts):
    return [
        part if isinstance(part, (int, dict)) else {"start": part.start, "stop": part.stop, "step": part.step}
        for part in parts
    ]


ELLIPSIS = {"class_name": "__ellipsis__"}
OPERATIONS = {
    "divide": (operation("math.truediv", {"y": 127.5}), X / 127.5),
    "subtract": (operation("math.subtract", {"y": 1.0}), X - 1),
    "operator": (operation("__operators__.add", {"y": ["image", 0, 0]}), 2 * X),
    "list of constants": (operation("nn.bias_add", {"bias": [1.0, 2.0, 3.0, 4.0]}), X + np.arange(1, 5)),
    "relu6": (operation("nn.relu6", {}), np.clip(X, 0, 6)),
    "sigmoid": (operation("math.sigmoid", {}), 1 / (1 + np.exp(-X))),
    "mean": (operation("math.reduce_mean", {"axis": [1, 2], "keepdims": False}), X.mean((1, 2))),
    "maximum": (operation("math.reduce_max", {"axis": 3, "keepdims": True}), X.max(3, keepdims=True)),
    "reshape": (operation("reshape", {"shape": [-1, 30, 4]}), X.reshape(-1, 30, 4)),
    "transpose": (operation("transpose", {"perm": [0, 2, 1, 3]}), X.transpose(0, 2, 1, 3)),
    "clip": (operation("clip_by_value", {"clip_value_min": -0.5, "clip_value_max": 0.5}), X.clip(-0.5, 0.5)),
    "reversed channels": (
        operation(
            "__operators__.getitem", {"slice_spec": [ELLIPSIS, *slices(slice(None, None, -1))]}, kind="SlicingOpLambda"
        ),
        X[..., ::-1],
    ),
    "slice and index": (
        operation(
            "__operators__.getitem", {"slice_spec": slices(slice(None), slice(1, 5, 2), 2)}, kind="SlicingOpLambda"
        ),
        X[:, 1:5:2, 2],
    ),
    "constant first": (operation("math.subtract", {"y": ["image", 0, 0]}, ("_CONSTANT_VALUE", -1, 1)), 1 - X),
    "unit vectors": (
        operation("nn.l2_normalize", {"axis": -1, "epsilon": 4.0}),
        X / np.sqrt(np.maximum((X**2).sum(-1, keepdims=True), 4.0)),
    ),
    "concatenate": (
        layer("TFOpLambda", {"function": "concat"}, [[["image", 0, 0, {"axis": -1}], ["image", 0, 0, {"axis": -1}]]]),
        np.concatenate([X, X], -1),
    ),
}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_operation_computes_the_same(tmp_path, kind):
    config, expected = OPERATIONS[kind]
    opened = open_with(tmp_path, native_model(L.Identity(name="tested")), functional(config))
    np.testing.assert_allclose(opened(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["Functional", "Sequential"])
def test_calls_of_nested_models_are_counted_as_keras_3_does(tmp_path, kind):
    """The call of a model inside a model had the number 1 in Keras 2."""
    convolution = layer(
        "Conv2D", {**CONV, "filters": 5, "groups": 1, "kernel_initializer": UNIFORM}, [[["image", 0, 0, {}]]]
    )
    inner = functional(convolution, name="inner")
    if kind == "Sequential":
        inner = {"class_name": "Sequential", "config": {"name": "inner", "layers": [INPUT, convolution]}}
    inner |= {"name": "inner", "inbound_nodes": [[["image", 0, 0, {"training": False}]]]}
    pooling = layer("GlobalAveragePooling2D", {}, [[["inner", 1, 0, {}]]])
    pooling["name"] = pooling["config"]["name"] = "pooled"
    x = keras.Input(SHAPE, name="image")
    same = keras.Sequential(
        [keras.Input(SHAPE, name="image"), L.Conv2D(5, 3, 1, "same", activation="relu", name="tested")], name="inner"
    )
    native = keras.Model(x, L.GlobalAveragePooling2D(name="pooled")(same(x)))
    opened = open_with(tmp_path, native, functional(inner, pooling, output="pooled"))
    np.testing.assert_allclose(opened(X), native(X), rtol=1e-5, atol=1e-6)


def test_first_layer_with_the_input_shape_is_given_an_input(tmp_path):
    dense = {"class_name": "Dense", "config": {"name": "tested", "units": 2, "batch_input_shape": [None, *SHAPE]}}
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [dense]}}
    model = native_model(L.Dense(2, name="tested"))
    np.testing.assert_allclose(open_with(tmp_path, model, config)(X), model(X), rtol=1e-5)


REFUSED = {
    "called in training": (
        layer("BatchNormalization", NORMALIZATION, [[["image", 0, 0, {"training": True}]]]),
        "training=True",
    ),
    "resizing that keeps the aspect ratio": (
        operation("image.resize", {"size": [3, 3], "preserve_aspect_ratio": True}),
        "preserve_aspect_ratio=True",
    ),
    "pooling of another layout": (
        operation("nn.max_pool2d", {"ksize": 2, "strides": 2, "padding": "SAME", "data_format": "NCHW"}),
        "data_format='NCHW'",
    ),
    "unknown operation": (operation("linalg.svd", {}), "tf.linalg.svd"),
    "operation that reads files": (operation("io.read_file", {}), "tf.io.read_file"),
    "operation with a further argument": (operation("nn.softmax", {"axis": -1, "beta": 2}), "beta"),
    "depthwise groups": (layer("DepthwiseConv2D", {**CONV, "groups": 2}, [[["image", 0, 0, {}]]]), "groups=2"),
    "another form of local kernels": (
        layer("LocallyConnected2D", {"implementation": 3}, [[["image", 0, 0, {}]]]),
        "LocallyConnected2D: Keras 3 has no implementation=3",
    ),
    "Lambda": (layer("Lambda", {"function": ["4wE=", None, None]}, [[["image", 0, 0, {}]]]), "Lambda"),
    "class of another module": (
        {**layer("TFSMLayer", {"filepath": "/tmp"}, [[["image", 0, 0, {}]]]), "module": "keras.layers"},
        "TFSMLayer",
    ),
    "inputs that cannot be read": (layer("ReLU", {}, [[["image", "0", 0, {}]]]), "cannot be read"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_keras_3_cannot_express_is_refused(tmp_path, kind):
    """The translated configuration is checked like that of any other file."""
    config, words = REFUSED[kind]
    with pytest.raises(ModelError, match=words):
        open_with(tmp_path, native_model(L.Identity(name="tested")), functional(config))


def test_configurations_of_keras_3_are_not_translated():
    config = json.loads(native_model(L.Conv2D(2, 3)).to_json())
    assert not is_keras2(config)
    assert is_keras2(functional(layer("ReLU", {}, [[["image", 0, 0, {}]]])))


@pytest.mark.parametrize(
    "config", [{}, {"class_name": 3}, {"class_name": "Functional"}, {"class_name": "Sequential", "config": []}]
)
def test_malformed_configurations_end_without_another_error(config):
    assert translate(json.loads(json.dumps(config))) is not None
