"""The training is the same as without the callback, and nothing is left in the model."""

import random
from collections import Counter

import keras
import numpy as np
import pytest
from small_training import images, network, saved_parts, train

from gradcam_cli import explain
from gradcam_cli.callbacks import GradCAM
from gradcam_cli.callbacks.explainer import Explainer
from gradcam_cli.network.trace_cache import trace_cache
from gradcam_cli.pipeline.run import PreparedRun

pytestmark = pytest.mark.slow


def test_weights_history_and_file_are_bit_equal(tmp_path):
    """Of trainings with noise, dropout and shuffling from the same seed."""
    x, y = images()
    keras.utils.clear_session()
    plain = train()
    after = random.random(), np.random.random()
    keras.utils.clear_session()
    watched = train([GradCAM(x[:4], log_dir=tmp_path / "logs", classes=y[:4], to="tensorboard")])
    assert (random.random(), np.random.random()) == after
    assert watched.history.history == plain.history.history
    for a, b in zip(plain.variables, watched.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(plain.optimizer.variables, watched.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)
    assert vars(watched).keys() == vars(plain).keys()
    assert saved_parts(watched, tmp_path / "a.keras") == saved_parts(plain, tmp_path / "b.keras")


def test_traces_of_the_user_are_kept():
    x, _ = images()
    model = network()
    explain((x[0] + 1) / 2, model, preprocess="-1..1")
    cache = trace_cache(model)
    Explainer(model, x[:2], "auto", "top", "gradcam", {"preprocess": "none"}).explain()
    assert trace_cache(model) is cache


CALLS = Counter()


class CountCalls(keras.layers.Layer):
    """Counts how often Python runs its call, by whether it trains: once in each trace."""

    def call(self, x, training=False):
        CALLS[bool(training)] += 1
        return x


def test_one_trace_and_one_pass_of_n_images_an_epoch(tmp_path, monkeypatch):
    """The causes of the cost: three epochs need as many traces as one, none of training, and one pass each."""
    traces, batches = {}, []
    run = PreparedRun.forward_backward

    def counted(self, x, *arguments):
        batches.append(len(x))
        return run(self, x, *arguments)

    monkeypatch.setattr(PreparedRun, "forward_backward", counted)
    x, _ = images()
    for epochs in (1, 3):
        CALLS.clear()
        model = keras.Sequential([keras.Input(x.shape[1:]), CountCalls(), *network().layers])
        train([GradCAM(x[:6], log_dir=tmp_path)], epochs=epochs, model=model)
        traces[epochs] = dict(CALLS)
    assert traces[3] == traces[1]
    assert batches == [6] * 2 + [6] * 4  # one when the training begins, and one an epoch
    CALLS.clear()
    train([], epochs=3, model=keras.Sequential([keras.Input(x.shape[1:]), CountCalls(), *network().layers]))
    assert CALLS[True] == traces[3][True]
