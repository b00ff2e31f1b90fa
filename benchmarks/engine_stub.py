"""Work that costs next to nothing, so that what is left is the engine: black photos and a network of one layer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.engines.job import Finished, Job
from gradcam_cli.images.load import Photo, Unexplained
from gradcam_cli.images.source import Source
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from gradcam_cli.pipeline.run import Run

SIDE = 8


def jobs(count: int) -> Iterator[Job]:
    """Yield inputs that nobody needs to read."""
    for number in range(count):
        yield Job(Source(f"s3://bucket/photos/{number // 1000:06}/{number:09}.jpg"), [])


@dataclass(frozen=True)
class Stub:
    """An `engines.work.Work`.

    Attributes:
        model: a saved network.
        batch_size: images in a pass.
    """

    model: str
    batch_size: int

    def read(self, job: Job) -> Photo:
        """Return a black photo."""
        return Photo(job.source.name, np.zeros((SIDE, SIDE, 3), np.uint8))

    def load(self) -> Run:
        """Load the network."""
        from gradcam_cli.models.classifier import load_model
        from gradcam_cli.pipeline.config import Request
        from gradcam_cli.pipeline.run import prepare_run

        return prepare_run(load_model(self.model, preprocessing="none"), Request(batch_size=self.batch_size))

    def finish(self, job: Job, result: list[Explanation] | Unexplained) -> Finished:
        """Return a line as long as a real one."""
        line = json.dumps({"input": job.source.name, "ok": isinstance(result, list), "more": "x" * 900})
        return Finished("ok" if isinstance(result, list) else "failed", [line])


def save_network(path: str) -> None:
    """Write the network: one convolution and a class score."""
    import keras

    layers = keras.layers
    keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(2)]
    ).save(path)
