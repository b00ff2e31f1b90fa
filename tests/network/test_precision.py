"""Precision: applied in its scope only, and rejected without hardware support."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli import explain, load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.network import precision

needs_bfloat16 = pytest.mark.skipif(not precision.has_bfloat16(), reason="the processor has no bfloat16")


def rounds(value=1 + 2**-12):
    """Return whether TensorFlow rounds the value to bfloat16 (8 bits), where it is 1."""

    @tf.function(autograph=False)
    def product(x):
        return x @ tf.eye(64)

    return float(product(tf.fill((64, 64), tf.constant(value)))[0, 0]) == 1


@needs_bfloat16
def test_bfloat16_is_used_only_in_the_scope():
    assert not rounds()
    with precision.precision_scope("bfloat16"):
        assert rounds()
    assert not rounds()


@needs_bfloat16
def test_precision_is_restored_after_an_error():
    with pytest.raises(KeyError), precision.precision_scope("bfloat16"):
        raise KeyError
    assert not rounds()


@needs_bfloat16
def test_setting_of_the_caller_is_restored():
    """If the caller enabled bfloat16, it is still enabled afterwards."""
    option = "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        with precision.precision_scope("bfloat16"):
            pass
        assert tf.config.optimizer.get_experimental_options()[option] is True
    finally:
        tf.config.optimizer.set_experimental_options({option: False})


@needs_bfloat16
def test_explain_restores_float32():
    """explain(precision="bfloat16") gives different scores, and the process uses float32 afterwards."""
    mini = load_model("mini")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    exact, lower, repeated = (
        explain(pixels, mini, "block5_conv4", precision=name) for name in ("float32", "bfloat16", "float32")
    )
    assert (exact.settings.precision, lower.settings.precision) == ("float32", "bfloat16")
    assert exact.prediction.logit == repeated.prediction.logit
    assert exact.prediction.logit != lower.prediction.logit
    assert exact.prediction.logit == pytest.approx(lower.prediction.logit, abs=0.3)
    assert np.corrcoef(exact.cam.ravel(), lower.cam.ravel())[0, 1] > 0.99
    assert lower.cam.dtype == lower.alpha.dtype == np.float32
    assert not rounds()


@pytest.mark.parametrize(("has", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_depends_on_the_hardware(monkeypatch, has, expected):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    assert precision.resolve_precision("auto") == expected


def test_unsupported_precision_is_rejected(monkeypatch):
    """TensorFlow would silently use float32, and the JSON would have the wrong precision."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    with pytest.raises(UsageError, match="bfloat16 requires a processor"):
        precision.resolve_precision("bfloat16")
    with pytest.raises(UsageError, match="float16 requires a GPU"):
        precision.resolve_precision("float16")


@needs_bfloat16
def test_other_threads_are_unaffected():
    """While one thread uses bfloat16, a thread started before uses float32."""
    started, changed, results = threading.Event(), threading.Event(), []

    def compute():
        results.append(rounds())
        started.set()
        changed.wait(5)
        results.append(rounds())

    thread = threading.Thread(target=compute)
    thread.start()
    started.wait(5)
    with precision.precision_scope("bfloat16"):
        changed.set()
        thread.join()
    assert results == [False, False]


def test_keras_policy_is_unchanged():
    assert keras.mixed_precision.global_policy().name == "float32"
