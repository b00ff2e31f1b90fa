"""Files that are no Keras model files: each message says what the file is, and the hint how to go on."""

import pytest
from small_models import small_network

from gradcam_cli import load_model
from gradcam_cli.errors import ModelError


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("m.tflite", "TensorFlow Lite"),
        ("m.onnx", "ONNX"),
        ("m.pt", "PyTorch"),
        ("m.PTH", "PyTorch"),
        ("m.safetensors", "weights"),
        ("m.pb", "graph"),
        ("m.json", "configuration"),
        ("m.ckpt", "checkpoint"),
    ],
)
def test_other_formats_are_named(tmp_path, name, word):
    (tmp_path / name).write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match=word) as caught:
        load_model(tmp_path / name)
    assert "Keras" in caught.value.hint or ".keras" in caught.value.hint


@pytest.mark.parametrize(("file", "word"), [("saved_model.pb", "SavedModel"), ("keras_metadata.pb", "Keras 2")])
def test_saved_models_are_named(tmp_path, file, word):
    (tmp_path / "m.keras").mkdir()
    (tmp_path / "m.keras" / file).write_bytes(b"")
    with pytest.raises(ModelError, match=word) as caught:
        load_model(tmp_path / "m.keras")
    assert "model.save(" in caught.value.hint


def test_weights_alone_are_named(tmp_path):
    small_network().save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelError, match="contains only weights") as caught:
        load_model(tmp_path / "m.weights.h5")
    assert "--weights" in caught.value.hint


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_model_under_another_name_is_recognized(tmp_path, suffix):
    from gradcam_cli.models.model_files import load_model_file

    small_network().save(tmp_path / f"m.{suffix}")
    (tmp_path / f"m.{suffix}").rename(tmp_path / "m.bin")
    with pytest.raises(ModelError, match="expected a name that ends in") as caught:
        load_model_file(tmp_path / "m.bin", allow_unsafe=False)
    assert f"m.{suffix}" in caught.value.hint
