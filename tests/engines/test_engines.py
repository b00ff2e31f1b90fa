"""The local engine: order of results, lazy iteration, and loading of the model."""

import itertools
from contextlib import closing

import numpy as np
import pytest

from gradcam_cli import load_model
from gradcam_cli.engines.local import run_local
from gradcam_cli.images.load import Failure, LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run


class NumberHandler:
    """A handler whose tasks are numbers: each is an image of one color, or a failure if `fails(task)` is true."""

    def __init__(self, model=None, fails=lambda task: False):
        self.model, self.fails = model, fails

    def read(self, task):
        if self.fails(task):
            return Failure(str(task), "bad")
        return LoadedImage(str(task), np.full((12, 12, 3), task % 256, np.uint8))

    def load(self):
        return prepare_run(load_model(self.model, preprocess="-1..1"), ExplainConfig(batch_size=4))

    def finish(self, task, result):
        assert isinstance(result, Failure) if self.fails(task) else result[0].source == str(task)
        return task


def test_tasks_are_iterated_lazily(model_file):
    """At most one batch and one task per thread are read ahead."""
    started = []

    def endless():
        for number in itertools.count():
            started.append(number)
            yield number

    with closing(run_local(endless(), NumberHandler(model_file), threads=2)) as results:
        assert [next(results) for _ in range(50)] == list(range(50))
    assert len(started) <= 50 + 3 * (4 + 2)


@pytest.mark.parametrize("fails", [lambda task: task < 3, lambda task: task % 5 == 2, lambda task: task > 8])
def test_results_keep_the_order_of_tasks(model_file, fails):
    assert list(run_local(range(11), NumberHandler(model_file, fails), threads=3)) == list(range(11))


def test_model_is_not_loaded_without_images():
    handler = NumberHandler(fails=lambda task: True)
    assert list(run_local(range(5), handler, before_load=pytest.fail)) == list(range(5))
