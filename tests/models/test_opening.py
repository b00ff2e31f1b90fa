"""The surroundings in which models are opened: settings are restored, the network is off, keras.json is ignored."""

import json
import os
import socket
import subprocess
import sys
import threading

import keras
import pytest
from quick_cases import first_quick
from small_models import small_network

from gradcam_cli.errors import ModelError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.opening import limited_results, network_off
from gradcam_cli.network.keras_settings import default_settings


def settings():
    return keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon(), keras.config.dtype_policy()


@pytest.fixture
def other_settings():
    """Settings of a calling program, restored after the test."""
    saved = settings()
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(1e-3)
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_floatx(saved[0])
    keras.config.set_image_data_format(saved[1])
    keras.config.set_epsilon(saved[2])
    keras.config.set_dtype_policy(saved[3])


def test_settings_are_restored_whatever_a_model_does():
    """Also after an error, with the names of custom classes."""
    before, registry = settings(), dict(keras.saving.get_custom_objects())

    def change():
        keras.config.set_floatx("float64")
        keras.config.set_image_data_format("channels_first")
        keras.config.set_dtype_policy("mixed_float16")
        keras.config.enable_unsafe_deserialization()
        keras.saving.get_custom_objects()["Dense"] = dict
        raise KeyError

    with pytest.raises(KeyError), default_settings():
        change()
    assert settings() == before
    assert keras.saving.get_custom_objects() == registry
    assert keras.src.saving.serialization_lib.in_safe_mode() is None


def test_models_are_built_with_the_defaults_of_keras(tmp_path, other_settings):
    """A program with float16 and channels_first gets the same models, and keeps its settings."""
    before = settings()
    with default_settings():
        small_network().save(tmp_path / "m.keras")
    for name in ("mini", tmp_path / "m.keras"):
        model = load_model(name, preprocess="none").model
        assert {layer.compute_dtype for layer in model.layers} == {"float32"}
        assert {getattr(layer, "data_format", "channels_last") for layer in model.layers} == {"channels_last"}
    assert settings() == before


@pytest.mark.parametrize(
    "use",
    [
        lambda: socket.create_connection(("127.0.0.1", 9)),
        lambda: socket.getaddrinfo("localhost", 80),
        lambda: socket.socket().connect_ex(("127.0.0.1", 9)),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9)),
        lambda: keras.utils.get_file("x", "http://127.0.0.1:9/x"),
    ],
)
def test_the_network_is_off(use, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="uses the network"), network_off():
        use()


def test_other_threads_keep_the_network():
    """Images are fetched while a model is opened."""
    results = []
    with network_off():
        thread = threading.Thread(target=lambda: results.append(socket.getaddrinfo("127.0.0.1", 80)))
        thread.start()
        thread.join()
    assert results
    assert socket.getaddrinfo("127.0.0.1", 80)


def test_patches_are_removed(tmp_path):
    """Keras is unchanged after a model is opened, and after it is refused."""
    parts = [
        (socket.socket, "connect"),
        (socket, "getaddrinfo"),
        (keras.Layer, "add_weight"),
        (keras.src.ops.node.Node, "__init__"),
        (keras.src.ops.function.Function, "_run_through_graph"),
        (keras.src.saving.saving_lib, "_model_from_config"),
        (keras.src.legacy.saving.legacy_h5_format.json_utils, "decode"),
    ]
    before = [getattr(owner, name) for owner, name in parts]
    keras.Sequential([keras.Input((9, 9, 3)), keras.layers.UpSampling2D(9999)]).save(tmp_path / "m.keras")
    for suffix in (".keras", ".h5"):
        small_network().save(tmp_path / f"good{suffix}")
        load_model_file(tmp_path / f"good{suffix}", allow_unsafe=False)
    with pytest.raises(ModelError, match="expected results"):
        load_model_file(tmp_path / "m.keras", allow_unsafe=False)
    assert [getattr(owner, name) for owner, name in parts] == before
    assert "connect" not in vars(socket.socket)


def test_limits_apply_to_layers_that_are_called_only():
    with limited_results(100), pytest.raises(ModelError, match="at most 100 bytes for an image, got 196"):
        keras.layers.Identity()(keras.KerasTensor((None, 7, 7, 1)))


@pytest.mark.slow
@pytest.mark.parametrize("variable", first_quick(["jax", None, "torch", "nonsense"]))
def test_another_backend_and_keras_json_do_not_matter(tmp_path, variable):
    """The program uses TensorFlow and channels_last, whatever `KERAS_BACKEND` or keras.json selects."""
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch", "image_data_format": "channels_first"}))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    environment |= {"KERAS_BACKEND": variable} if variable else {}
    command = [sys.executable, "-m", "gradcam_cli", "layers", "mini"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "8x8x160" in done.stdout


@pytest.mark.slow
def test_keras_with_another_backend_in_the_process_is_one_error():
    code = (
        "import keras, gradcam_cli; keras.config.backend = lambda: 'jax'\n"
        "try: gradcam_cli.explain\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "UsageError expected Keras with the backend tensorflow, got jax"
