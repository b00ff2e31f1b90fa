"""The number of spatial axes of a model's input, read from its file without TensorFlow."""

import json
import subprocess
import sys
import zipfile

import keras
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli.models.peeked_input import peek_rank


def pooled(shape, pooling):
    return keras.Sequential([L.Input(shape), pooling, L.Dense(2)])


def nested():
    return keras.Sequential([pooled((8, 8, 8, 1), L.GlobalAveragePooling3D()), L.Dense(2)])


def several(*shapes):
    inputs = [L.Input(shape) for shape in shapes]
    return keras.Model(inputs, L.Dense(2)(L.concatenate([L.Flatten()(each) for each in inputs])))


MODELS = {
    "signal": (lambda: pooled((40, 2), L.GlobalAveragePooling1D()), 1),
    "signal of any length": (lambda: pooled((None, 1), L.GlobalAveragePooling1D()), 1),
    "image": (lambda: pooled((8, 8, 3), L.GlobalAveragePooling2D()), 2),
    "volume": (lambda: pooled((8, 8, 8, 1), L.GlobalAveragePooling3D()), 3),
    "functional film": (lambda: several((4, 8, 8, 3)), 3),
    "model in a model": (nested, 3),
    "table and volume": (lambda: several((5,), (4, 8, 8, 1)), 3),
    "table and signal": (lambda: several((5,), (9, 4)), 1),
    "image and signal": (lambda: several((9, 4), (8, 8, 3)), 2),
    "image and mask": (lambda: several((8, 8, 5), (8, 8, 3)), 2),
    "two volumes": (lambda: several((4, 8, 8, 1), (4, 8, 8, 3)), 2),
    "table": (lambda: several((5,)), 2),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", MODELS)
def test_rank_is_that_of_the_input(tmp_path, name, suffix):
    """Two inputs of one kind are as unclear as none: the model is opened as one of images."""
    build, rank = MODELS[name]
    build().save(tmp_path / f"model{suffix}")
    assert peek_rank(str(tmp_path / f"model{suffix}")) == rank


@pytest.mark.parametrize("model", ["vgg19", "mini", "no_such_model", "missing.keras", "folder/missing.h5", ""])
def test_rank_of_names_is_2(model):
    assert peek_rank(model) == 2


def archive(tmp_path, config):
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("config.json", config)
        opened.writestr("model.weights.h5", b"")
    return str(path)


def layers_of(shape):
    layer = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": shape}}
    return {"class_name": "Functional", "config": {"layers": [layer], "input_layers": [["x", 0, 0]]}}


def test_rank_of_a_bare_configuration(tmp_path):
    """The archives below differ from this one only in what is wrong with them."""
    assert peek_rank(archive(tmp_path, json.dumps(layers_of([None, 4, 8, 8, 1])))) == 3


DAMAGED = {
    "no JSON": "{",
    "a list": "[]",
    "deep lists": "[" * 200_000,
    "deep models": '{"config": {"layers": [' * 900 + "]}}" * 900,
    "no numbers": json.dumps(layers_of([None, "4", 8, 8, 1])),
    "a shape that is a number": json.dumps(layers_of(5)),
    "too many axes": json.dumps(layers_of([None] * 9)),
    "no axes": json.dumps(layers_of([])),
    "name without layer": json.dumps({"config": {"layers": [], "input_layers": [["x", 0, 0]]}}),
    "names in numbers": json.dumps({"config": {"layers": [], "input_layers": [[[[3]]]]}}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_rank_of_damaged_configurations_is_2(tmp_path, name):
    assert peek_rank(archive(tmp_path, DAMAGED[name])) == 2


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" + b"x" * 99, b"\x89HDF\r\n\x1a\n" + b"\xff" * 99])
def test_rank_of_damaged_files_is_2(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert peek_rank(str(tmp_path / name)) == 2


def test_large_configurations_are_not_read(tmp_path):
    """A configuration that decompresses to more than the limit of model files counts as one of images."""
    path = tmp_path / "model.keras"
    text = json.dumps(layers_of([None, 4, 8, 8, 1]))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("config.json", text + " " * (33 << 20))
        opened.writestr("model.weights.h5", b"")
    assert peek_rank(str(path)) == 2


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_tensorflow_is_not_imported(tmp_path, suffix):
    pooled((40, 2), L.GlobalAveragePooling1D()).save(tmp_path / f"model{suffix}")
    code = (
        "import sys; from gradcam_cli.models.peeked_input import peek_rank; "
        "print(peek_rank(sys.argv[1]), 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / f"model{suffix}")]
    assert subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split() == [
        "1",
        "False",
        "False",
    ]
