"""The engine of this process: order, laziness, and the model that is loaded only where a photo needs it."""

import itertools
from contextlib import closing

import numpy as np
import pytest

from gradcam_cli import load_model
from gradcam_cli.engines.local import run_local
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run


class Work:
    """Photos out of numbers; those that `bad` tells of cannot be read."""

    def __init__(self, model=None, bad=lambda job: False):
        self.model, self.bad = model, bad

    def read(self, job):
        if self.bad(job):
            return Failure(str(job), "bad")
        return LoadedImage(str(job), np.full((12, 12, 3), job % 256, np.uint8))

    def load(self):
        return prepare_run(load_model(self.model, preprocess="-1..1"), ExplainConfig(batch_size=4))

    def finish(self, job, result):
        assert isinstance(result, Unexplained) if self.bad(job) else result[0].source == str(job)
        return job


def test_jobs_are_drawn_as_they_are_needed(model_file):
    """A batch and the workers ahead, of however many there are."""
    drawn = []

    def endless():
        for number in itertools.count():
            drawn.append(number)
            yield number

    with closing(run_local(endless(), Work(model_file), threads=2)) as finished:
        assert [next(finished) for _ in range(50)] == list(range(50))
    assert len(drawn) <= 50 + 3 * (4 + 2)


@pytest.mark.parametrize("bad", [lambda job: job < 3, lambda job: job % 5 == 2, lambda job: job > 8])
def test_failures_keep_their_place(model_file, bad):
    assert list(run_local(range(11), Work(model_file, bad), threads=3)) == list(range(11))


def test_no_photo_no_model():
    """Nothing is loaded where nothing can be read, or all is there already."""
    assert list(run_local(range(5), Work(bad=lambda job: True), before_load=pytest.fail)) == list(range(5))
