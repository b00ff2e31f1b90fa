"""The check of a model's configuration: nothing is called, written, downloaded or allocated by a model file."""

import json
import resource
import socket
import time

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from malformed_models import h5_of, layer_of, sequential
from small_models import small_network
from unsafe_configs import CALLS, OTHER_CLASS, SIZES, TENSOR, constant, functional, keras_archive, operation

from gradcam_cli.cli import gradcam
from gradcam_cli.errors import ModelError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.config_check import RegisteredNames, check_config, registered_names
from gradcam_cli.models.model_files import load_model_file


@pytest.fixture
def victim(tmp_path, monkeypatch):
    """A folder with one file that must not change, as the working directory; every connection fails the test."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "victim.png").write_bytes(b"unchanged")
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    monkeypatch.setitem(keras.saving.get_custom_objects(), OTHER_CLASS, Payload)
    return tmp_path


class Payload(keras.layers.Layer):
    """A class of another package that is registered in this process."""

    def __init__(self, **kwargs):
        pytest.fail("the class was created")


def refused(path, limit_seconds=20):
    """Open a file by the command line; return its error, after checks of status, time and memory."""
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = CliRunner().invoke(gradcam, ["layers", str(path)])
    assert result.exit_code == 3, result.output
    assert time.process_time() - start < limit_seconds
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10
    error, *hint = result.stderr.strip().splitlines()
    assert error.startswith("error: ")
    assert path.name in error
    assert "unexpected" not in error
    return error, "".join(hint)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("name", CALLS)
def test_objects_that_run_code_are_refused_by_name(victim, name, suffix):
    """Exit status 3, one line and a hint; no file is written, no connection made, no setting changed."""
    config = CALLS[name]()
    path = victim / f"m{suffix}"
    path.write_bytes(keras_archive(config) if suffix == ".keras" else h5_of(json.dumps(config)))
    before = {file.name: file.read_bytes() for file in victim.iterdir()}
    _, hint = refused(path)
    assert "--allow-unsafe-model" in hint
    assert {file.name: file.read_bytes() for file in victim.iterdir()} == before
    assert keras.config.image_data_format() == "channels_last"


@pytest.mark.parametrize("name", SIZES)
def test_results_and_constants_have_a_limited_size(victim, name):
    path = victim / "m.keras"
    path.write_bytes(keras_archive(SIZES[name]()))
    error, hint = refused(path)
    assert "expected" in error or "unroll" in error
    assert "--allow-unsafe-model" in hint


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plot", "keras.layers.Lambda runs Python code"),
        ("saved-model", "keras.layers.TFSMLayer runs a TensorFlow SavedModel"),
        ("download", "keras.datasets.mnist.load_data is not a part of an image classifier"),
        ("registered", "is a custom class or function"),
        ("layer-initializer", "kernel_initializer: RepeatVector is not an initializer"),
        ("eager", "layer 'x' is called without the output of a layer"),
        ("bytecode", "__lambda__ runs Python code"),
    ],
)
def test_messages_name_the_object(name, words):
    registered = RegisteredNames(other=frozenset([OTHER_CLASS]))
    with pytest.raises(ModelError, match=words):
        check_config(CALLS[name](), registered)


def test_a_variable_input_size_does_not_bypass_the_limit(tmp_path):
    """The result of a layer is checked when the input size is known, also inside a nested model."""
    inner = keras.Sequential([keras.Input((None, None, 3)), keras.layers.UpSampling2D(100)])
    layers = [keras.Input((None, None, 3)), inner, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    keras.Sequential(layers).save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras", preprocess="none", input_size=(32, 32)).class_count == 2
    with pytest.raises(ModelError, match=r"expected results of at most 1,073,741,824 bytes"):
        load_model(tmp_path / "m.keras", preprocess="none")


def test_scores_of_attention_count(tmp_path):
    """Attention over all pixels of a small image requires more memory than its output."""
    x = keras.Input((100_000, 1))
    keras.Model(x, keras.layers.Attention()([x, x])).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=r"layer attention.*40,000,000,000"):
        load_model_file(tmp_path / "m.keras", allow_unsafe=False)


def test_training_settings_are_not_created(victim):
    """The settings of a nested model, here with a class that does not exist, are removed before Keras reads them."""
    evil = {"optimizer": layer_of("os", "system", {}), "loss": {"class_name": "x"}}
    inner = {**sequential(layer_of("keras.layers", "Flatten", {"name": "f"})), "compile_config": evil}
    config = sequential(inner)
    config["compile_config"] = evil
    (victim / "m.keras").write_bytes(keras_archive(config))
    model = load_model_file(victim / "m.keras", allow_unsafe=False)
    assert model.output_shape == (None, 432)
    assert not model.layers[0].compiled


def test_compiled_models_open(tmp_path):
    """A model within a model, both compiled, with operations, constants, slices and all kinds of objects."""
    x = keras.Input((8, 8, 3))
    regular = keras.regularizers.L2(1e-4)
    y = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer=regular, kernel_constraint="max_norm")(x)
    y = keras.layers.Activation(keras.layers.LeakyReLU(0.1))(y[:, 1:5, ..., ::-1] * 2.0 + np.ones(4, np.float32))
    inner = keras.Model(x, keras.ops.mean(keras.ops.concatenate([y, keras.ops.relu(y)], axis=-1), axis=(1, 2)))
    inner.compile("adam", "mse", ["accuracy"])
    outer = keras.Sequential([x, inner, keras.layers.Dense(3, activation=keras.activations.softmax, dtype="float16")])
    outer.compile("sgd", keras.losses.CategoricalCrossentropy())
    outer.save(tmp_path / "m.keras")
    opened = load_model_file(tmp_path / "m.keras", allow_unsafe=False)
    data = np.random.default_rng(0).uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_array_equal(opened(data), outer(data))


def test_classes_of_named_packages_are_allowed():
    """Only classes that are defined in the package count, whatever name they are registered under."""
    registry = {"mine>A": Payload, "gradcam_cli>B": small_network, "x>C": keras.layers.Dense}
    assert registered_names(registry, ["small_models"]).allowed == {"gradcam_cli>B"}
    assert registered_names(registry, ["gradcam_cli"]).allowed == frozenset()
    config = sequential(layer_of("mine", "A", {"name": "a"}, "mine>A"))
    check_config(config, RegisteredNames(allowed=frozenset(["mine>A"])))
    with pytest.raises(ModelError, match=r"mine\.A is a custom class"):
        check_config(config, RegisteredNames(other=frozenset(["mine>A"])))


def test_ten_thousand_calls_are_counted_at_once():
    """A layer that is called 100,000 times is refused within a second."""
    config = functional(layer_of("keras.layers", "Identity", {"name": "x"}))
    config["config"]["layers"][1]["inbound_nodes"] *= 100_000
    start = time.process_time()
    with pytest.raises(ModelError, match="at most 10,000 calls of layers"):
        check_config(config)
    assert time.process_time() - start < 1


def test_constants_and_names_that_are_allowed_pass():
    for config in (
        operation("numpy", "Add", args=[TENSOR, constant([1.0, 2.0, 3.0])]),
        operation("numpy", "GetItem", args=[TENSOR, {"class_name": "__ellipsis__", "config": {}}]),
        sequential({"class_name": "Conv2D", "config": {"kernel_initializer": {"class_name": "GlorotUniform"}}}),
    ):
        check_config(config)
