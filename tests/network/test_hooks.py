"""Hooks on layers: seen only by their own thread, removed after errors, also on quantized and repeated layers."""

import threading

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.network.hooks import hooked

X = np.random.default_rng(0).uniform(size=(1, 12, 12, 3)).astype(np.float32)


def test_output_is_replaced_only_inside_the_block():
    layer = L.Conv2D(2, 3)
    before = layer(X).numpy()
    with hooked({"layer": layer}, lambda key, output: 0 * output):
        assert not layer(X).numpy().any()
    np.testing.assert_array_equal(layer(X).numpy(), before)


def test_keras_is_restored_after_an_error():
    original, layer = keras.Operation.__call__, L.Conv2D(2, 3)
    with pytest.raises(ValueError, match="incompatible"), hooked({"layer": layer}, lambda key, output: output):
        layer(np.zeros(3))
    assert keras.Operation.__call__ is original


def test_other_threads_do_not_pass_through_the_hook():
    """While one thread replaces a layer's output, another calls the same model and gets its own result."""
    model = small_network()
    expected, results = model(X).numpy(), []
    with hooked({"conv": model.get_layer("conv2")}, lambda key, output: 0 * output):
        thread = threading.Thread(target=lambda: results.append(model(X).numpy()))
        thread.start()
        thread.join()
        assert not np.allclose(model(X), expected)
    np.testing.assert_array_equal(results[0], expected)


def test_all_calls_of_a_layer_and_of_a_quantized_layer_are_observed():
    x = keras.Input((4, 4, 3))
    shared = L.Dense(3, name="shared")
    model = keras.Model(x, shared(shared(x)))
    model.quantize("int8")
    calls = []
    with hooked({"shared": shared}, lambda key, output: calls.append(key) or output):
        model(np.ones((1, 4, 4, 3), np.float32))
    assert calls == ["shared", "shared"]
