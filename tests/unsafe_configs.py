"""Configurations of tiny models that call functions, run code or allocate memory when Keras opens them."""

import io
import json
import zipfile

import h5py
from malformed_models import function_of, layer_of, sequential

TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 12, 12, 3], "dtype": "float32", "keras_history": ["i", 0, 0]},
}
OTHER_CLASS = "other>Payload"


def constant(value, dtype="float32", name="__tensor__"):
    return {"class_name": name, "config": {"value": value, "dtype": dtype}}


def functional(layer, args=(TENSOR,), kwargs=None):
    """A functional model of an input and one call of a layer."""
    call = {"args": list(args), "kwargs": kwargs or {}}
    start = layer_of("keras.layers", "InputLayer", {"batch_shape": [None, 12, 12, 3], "dtype": "float32", "name": "i"})
    layers = [{**start, "name": "i", "inbound_nodes": []}, {**layer, "name": "x", "inbound_nodes": [call]}]
    config = {"name": "f", "layers": layers, "input_layers": [["i", 0, 0]], "output_layers": [["x", 0, 0]]}
    return layer_of("keras.src.models.functional", "Functional", config, "Functional")


def activation(value):
    return sequential(layer_of("keras.layers", "Activation", {"activation": value, "name": "a"}))


def dense(**config):
    return sequential(layer_of("keras.layers", "Dense", {"units": 2, "name": "d", **config}))


def operation(module, name, config=None, args=(TENSOR,), **kwargs):
    return functional(layer_of(f"keras.src.ops.{module}", name, {"name": "x", **(config or {})}, name), args, kwargs)


def lambda_of(function, arguments):
    return layer_of("keras.layers", "Lambda", {"function": function, "arguments": arguments, "name": "x"})


CALLS = {
    "plot": lambda: functional(
        lambda_of(function_of("keras.visualization", "plot_image_gallery"), {"path": "victim.png"})
    ),
    "saved-model": lambda: functional(
        layer_of("keras.layers", "Activation", {"activation": function_of("keras.layers", "TFSMLayer"), "name": "x"}),
        [TENSOR],
        {"inputs": "/tmp"},
    ),
    "download": lambda: activation(function_of("keras.datasets.mnist", "load_data")),
    "download-file": lambda: activation(function_of("keras.utils", "get_file")),
    "data-format": lambda: activation(function_of("keras.config", "set_image_data_format")),
    "load": lambda: activation(function_of("builtins", "deserialize")),
    "loss": lambda: activation(function_of("builtins", "mean_squared_error")),
    "ones": lambda: functional(
        {**layer_of("keras.ops", "function", "ones"), "config": "ones", "registered_name": "ones"}, [[10**9]]
    ),
    "ones-initializer": lambda: dense(kernel_initializer=function_of("keras.ops", "ones")),
    "layer-initializer": lambda: dense(kernel_initializer=layer_of("keras.layers", "RepeatVector", {"n": 10**9})),
    "layer-regularizer": lambda: dense(kernel_regularizer=layer_of("keras.layers", "RepeatVector", {"n": 10**9})),
    "layer-activation": lambda: dense(activation=layer_of("keras.layers", "UpSampling2D", {"size": [9999, 9999]})),
    "eager": lambda: operation("numpy", "Full", args=[[10**9], 1.0]),
    "map": lambda: operation("core", "Map", {"f": function_of("keras.utils", "get_file")}),
    "loop": lambda: operation("core", "WhileLoop", {"cond": None, "body": None}),
    "slice": lambda: operation(
        "numpy", "GetItem", args=[TENSOR, {"class_name": "__slice__", "config": {"start": dense(), "stop": 1}}]
    ),
    "object-argument": lambda: operation("numpy", "Add", args=[TENSOR, dense()]),
    "bytecode": lambda: activation({"class_name": "__lambda__", "config": {"value": "4wA="}}),
    "type": lambda: activation(
        {
            "class_name": "__typespec__",
            "spec_name": "TensorSpec",
            "module": "os",
            "registered_name": None,
            "config": [],
        }
    ),
    "registered": lambda: sequential(layer_of("keras.layers", "Dense", {"units": 2, "name": "d"}, OTHER_CLASS)),
    "registered-text": lambda: sequential(
        layer_of("keras.layers", "Dense", {"units": 2, "name": "d", "x": OTHER_CLASS})
    ),
    "own-class-as-lambda": lambda: sequential(
        layer_of("gradcam_cli.neuralode.layers.odenet", "Lambda", {"name": "l"}, "gradcam>ODEBlock")
    ),
    "import": lambda: sequential(layer_of("keras.src.backend.torch.nn", "Layer", {"name": "l"})),
    "words": lambda: sequential(layer_of("keras.layers", "TextVectorization", {"vocabulary": "/etc/passwd"})),
}
"""Objects and functions that must not be created or called."""

SIZES = {
    "resize": lambda: sequential(layer_of("keras.layers", "Resizing", {"height": 30000, "width": 30000, "name": "r"})),
    "pad": lambda: sequential(layer_of("keras.layers", "ZeroPadding2D", {"padding": 20000, "name": "z"})),
    "upsample": lambda: sequential(layer_of("keras.layers", "UpSampling2D", {"size": [3000, 3000], "name": "u"})),
    "one-hot": lambda: operation("nn", "OneHot", {"num_classes": 10**7}),
    "tile": lambda: operation("numpy", "Tile", {"repeats": [1, 5000, 5000, 1]}),
    "separable": lambda: sequential(
        layer_of(
            "keras.layers",
            "SeparableConv2D",
            {"filters": 1, "kernel_size": 1, "depth_multiplier": 10**6, "name": "s"},
        )
    ),
    "unroll": lambda: sequential(layer_of("keras.layers", "SimpleRNN", {"units": 1, "unroll": True, "name": "r"})),
    "batch": lambda: sequential(
        layer_of("keras.layers", "InputLayer", {"batch_shape": [10**6, 9], "dtype": "float32", "name": "j"})
    ),
    "input": lambda: layer_of(
        "keras",
        "Sequential",
        {
            "name": "s",
            "layers": [
                layer_of(
                    "keras.layers",
                    "InputLayer",
                    {"batch_shape": [None, 40000, 40000, 3], "dtype": "float32", "name": "i"},
                )
            ],
        },
    ),
    "string-constant": lambda: operation("numpy", "Add", args=[TENSOR, constant(["x"], "S1000000000", "__numpy__")]),
    "constants": lambda: operation("numpy", "Add", args=[TENSOR, constant([0] * 1_000_001)]),
    "layers": lambda: sequential(
        *(layer_of("keras.layers", "Identity", {"name": f"n{number}"}) for number in range(10_001))
    ),
}
"""Objects that take memory or time out of proportion to their file."""


def keras_archive(config, **members):
    """A `.keras` file with a configuration and weights without arrays."""
    weights, buffer = io.BytesIO(), io.BytesIO()
    h5py.File(weights, "w").close()
    members = {"model.weights.h5": weights.getvalue(), "metadata.json": b"{}", **members}
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()
