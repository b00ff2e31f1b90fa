"""Weights of HDF5 files as tensors that are not copied."""

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.models import loading, read_ahead, weight_tensors
from gradcam_cli.models.catalog import require_spec
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.weight_files import load_weights_into
from gradcam_cli.models.weight_tensors import page_aligned, read_tensor

ARRAYS = {
    "large": np.random.default_rng(0).normal(size=(300, 70)).astype(np.float32),
    "small": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.full((400, 200), 1.5, np.float16),
    "double": np.full((400, 200), 1.5, np.float64),
    "big_endian": np.arange(40_000, dtype=">f4"),
    "whole": np.arange(40_000),
    "scalar": np.float32(3),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def buffers(monkeypatch):
    """Return the buffers into which arrays are read from now on."""
    made = []

    def record(shape):
        buffer = page_aligned(shape)
        made.extend([buffer] if buffer.size else [])
        return buffer

    monkeypatch.setattr(weight_tensors, "page_aligned", record)
    monkeypatch.setattr(read_ahead, "page_aligned", record)
    return made


@pytest.mark.parametrize("chunks", [None, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_values_are_those_of_the_file(tmp_path, name, chunks):
    array = ARRAYS[name]
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file.create_dataset(name, data=array, chunks=chunks if array.size > 10 else None)
    with h5py.File(tmp_path / "file.h5") as file:
        result = read_tensor(file[name])
    np.testing.assert_array_equal(np.asarray(result), array)
    assert tf.is_tensor(result) == (name == "large")


def _share_memory(weight, buffer):
    """Whether a change of the buffer changes the weight."""
    buffer.flat[0] = 12345
    return float(tf.reshape(weight.value, [-1])[0]) == 12345


def test_weights_are_read_once_and_not_copied(tmp_path, buffers):
    """The variable, after the file is closed, consists of the memory into which the file was read."""
    model = keras.Sequential([keras.Input((100,)), keras.layers.Dense(300, name="a"), keras.layers.Dense(5, name="b")])
    model.save(tmp_path / "net.h5")
    expected = [weight.numpy() for weight in model.weights]
    model.layers[0].kernel.assign(tf.zeros((100, 300)))
    load_weights_into(model, tmp_path / "net.h5")
    for weight, value in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)
    assert [buffer.shape for buffer in buffers] == [(100, 300)]
    assert _share_memory(model.layers[0].kernel, buffers[0])
    model.layers[0].kernel.assign_add(tf.ones((100, 300)))  # a variable of its own, as any other


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_of_an_archive_are_not_copied(tmp_path, buffers, dtype):
    """Except those in bfloat16, which Keras reads."""
    dense = keras.layers.Dense(300, name="a", dtype=dtype)
    model = keras.Sequential([keras.Input((100,)), dense, keras.layers.Dense(5, name="b")])
    model.save(tmp_path / "net.keras")
    opened = load_model_file(tmp_path / "net.keras", allow_unsafe=False)
    for weight, source in zip(opened.weights, model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), keras.ops.convert_to_numpy(source))
    assert [buffer.size for buffer in buffers] == ([30_000] if dtype == "float32" else [])
    assert all(_share_memory(opened.layers[0].kernel, buffer) for buffer in buffers)


@pytest.mark.slow
def test_weights_of_applications_are_not_copied(tmp_path, buffers):
    spec = require_spec("mobilenet")
    source = keras.applications.MobileNet(weights=None)
    source.save(tmp_path / "full.h5")
    with h5py.File(tmp_path / "full.h5") as full, h5py.File(tmp_path / "weights.h5", "w") as file:
        for name, item in full["model_weights"].items():
            full.copy(item, file, name)
        file.attrs.update(full["model_weights"].attrs)
    model = loading.build_model(spec, tmp_path / "weights.h5")
    for weight, value in zip(model.weights, source.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), np.array(value))
    large = [weight for weight in model.weights if 4 * np.prod(weight.shape) >= weight_tensors.MIN_SHARED_BYTES]
    assert len(large) == len(buffers) > 10
    assert all(map(_share_memory, large, buffers))
