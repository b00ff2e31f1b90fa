"""Fewer bits where the hardware has them, and nothing left behind."""

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
    """Tell whether TensorFlow multiplies this value as a bfloat16 (8 bits), where it becomes 1."""

    @tf.function(autograph=False)
    def product(x):
        return x @ tf.eye(64)

    return float(product(tf.fill((64, 64), tf.constant(value)))[0, 0]) == 1


@needs_bfloat16
def test_bfloat16_is_computed_and_then_no_more():
    assert not rounds()
    with precision.precision_scope("bfloat16"):
        assert rounds()
    assert not rounds()


@needs_bfloat16
def test_an_error_restores_it_too():
    with pytest.raises(KeyError), precision.precision_scope("bfloat16"):
        raise KeyError
    assert not rounds()


@needs_bfloat16
def test_what_the_caller_had_set_stays_set():
    """A program that itself runs in bfloat16 still does after a run."""
    option = "auto_mixed_precision_onednn_bfloat16"
    tf.config.optimizer.set_experimental_options({option: True})
    try:
        with precision.precision_scope("bfloat16"):
            pass
        assert tf.config.optimizer.get_experimental_options()[option] is True
    finally:
        tf.config.optimizer.set_experimental_options({option: False})


@needs_bfloat16
def test_the_python_call_leaks_nothing():
    """explain(precision="bfloat16"): other scores than float32's, and the process computes in float32 after it."""
    mini = load_model("mini")
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    exact, lower, again = (
        explain(pixels, mini, "block5_conv4", precision=name) for name in ("float32", "bfloat16", "float32")
    )
    assert (exact.settings.precision, lower.settings.precision) == ("float32", "bfloat16")
    assert exact.prediction.logit == again.prediction.logit
    assert exact.prediction.logit != lower.prediction.logit
    assert exact.prediction.logit == pytest.approx(lower.prediction.logit, abs=0.3)
    assert np.corrcoef(exact.cam.ravel(), lower.cam.ravel())[0, 1] > 0.99
    assert lower.cam.dtype == lower.alpha.dtype == np.float32
    assert not rounds()


@pytest.mark.parametrize(("has", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_what_there_is(monkeypatch, has, expected):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: has)
    assert precision.resolve_precision("auto") == expected


def test_what_is_not_there_is_refused(monkeypatch):
    """TensorFlow would go on in float32 without a word; the JSON would then lie."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda: False)
    with pytest.raises(UsageError, match="bfloat16: expected a processor"):
        precision.resolve_precision("bfloat16")
    with pytest.raises(UsageError, match="float16: expected a GPU"):
        precision.resolve_precision("float16")


@needs_bfloat16
def test_another_thread_is_not_touched():
    """While one thread computes in bfloat16, another that has begun before goes on in float32."""
    begun, change, seen = threading.Event(), threading.Event(), []

    def other():
        seen.append(rounds())
        begun.set()
        change.wait(5)
        seen.append(rounds())

    thread = threading.Thread(target=other)
    thread.start()
    begun.wait(5)
    with precision.precision_scope("bfloat16"):
        change.set()
        thread.join()
    assert seen == [False, False]


def test_the_policy_stays():
    assert keras.mixed_precision.global_policy().name == "float32"
