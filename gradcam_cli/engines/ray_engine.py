"""The Ray engine: tasks stream through functions that read, actors with a loaded model, and functions that write.

Ray retries a function whose process or node fails. Files are replaced atomically and every task returns one result, so
no result is lost or duplicated. Results are in the order of the tasks.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcam_cli.console import Announcement, log
from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult
from gradcam_cli.engines.ray_cluster import RayConfig, connected, one_line_ray_errors
from gradcam_cli.errors import GradcamError
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.pipeline.results import Explanation

TASKS_PER_ACTOR = 20_000
"""Tasks per actor that are sent to the cluster at once; it limits the driver's memory."""
IO_TASK_CPUS = 0.5
"""CPUs of functions that read or write. The value differs from the actors' so that Ray Data does not fuse them."""


def run_on_ray(tasks: Iterable[ExplainTask], handler: JobHandler, config: RayConfig) -> Generator[JobResult]:
    """Run all tasks on a cluster.

    Args:
        tasks: iterated in chunks.
        handler: the work on each task; every actor calls `load` once.
        config: address and resources.

    Raises:
        UsageError: Ray is not installed, the cluster cannot be reached, or is too small.
        GradcamError: the model cannot be loaded, or Ray fails.
    """
    tasks = iter(tasks)
    with connected(config) as (actors, resources), one_line_ray_errors():
        padded_size, announced = 0, set[str]()
        while chunk := list(itertools.islice(tasks, TASKS_PER_ACTOR * actors)):
            padded_size = padded_size or min(config.batch_size, len(chunk))
            for row in _stream_results(chunk, handler, actors, resources, config.batch_size, padded_size):
                result = _unpickle(row["item"])
                if isinstance(result, GradcamError):
                    raise result
                if not isinstance(result, Announcement):
                    yield result
                elif result.text not in announced:
                    log.log(*result)
                    announced.add(result.text)


def _stream_results(
    tasks: list[ExplainTask],
    handler: JobHandler,
    actors: int,
    resources: dict[str, float],
    batch_size: int,
    padded_size: int,
) -> Iterator[dict[str, bytes]]:
    from ray import data

    directory = os.getcwd()
    blocks = -(-len(tasks) // batch_size)
    rows = data.from_items([{"item": pickle.dumps(task)} for task in tasks], override_num_blocks=blocks)
    images = rows.map(_RayTask(partial(_read, handler), directory), num_cpus=IO_TASK_CPUS)
    explanations = images.map_batches(
        RayExplainActor,
        fn_constructor_args=(handler, directory, max(1, int(resources["num_cpus"])), padded_size),
        batch_size=batch_size,
        compute=data.ActorPoolStrategy(size=actors),
        **resources,
    )
    results = explanations.map(_RayTask(partial(_finish, handler), directory), num_cpus=IO_TASK_CPUS)
    yield from results.iter_rows()


@dataclass(frozen=True)
class _RayTask:
    """A step of the stream that needs no model; it processes one item per call."""

    step: Callable[[Any], Any]
    directory: str

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        _chdir(self.directory)
        return {"item": pickle.dumps(self.step(_unpickle(row["item"])))}


def _read(handler: JobHandler, task: ExplainTask) -> tuple[ExplainTask, LoadedImage | Unexplained]:
    return task, handler.read(task)


def _finish(
    handler: JobHandler, item: tuple[ExplainTask, list[Explanation] | Unexplained] | GradcamError | Announcement
) -> JobResult | GradcamError | Announcement:
    return item if isinstance(item, (GradcamError, Announcement)) else handler.finish(*item)


class RayExplainActor:
    """An actor with a loaded model that explains one batch per call.

    Args:
        handler: loads the model.
        directory: working directory.
        threads: number of threads of the network.
        padded_size: every batch is padded to this size, so that TensorFlow compiles the network once.
    """

    def __init__(self, handler: JobHandler, directory: str, threads: int, padded_size: int) -> None:
        _chdir(directory)
        # by default every actor would use all cores, and all memory of a GPU that it shares
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        self.padded_size = padded_size
        try:
            self.run = handler.load()
        except GradcamError as error:  # returned as a result, because Ray would wrap the exception and retry
            self.error: GradcamError | None = error
        else:
            self.error = None

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, list[bytes]]]:
        """Explain the images of a batch; each result is yielded alone, since a batch of them may exceed the memory."""
        if self.error:
            yield {"item": [pickle.dumps(self.error)] * len(batch["item"])}
            return
        from gradcam_cli.pipeline import stages
        from gradcam_cli.pipeline.model_input import to_model_input

        tasks, images = zip(*map(_unpickle, batch["item"]), strict=True)
        notes = [image.note for image in images if isinstance(image, LoadedImage) and image.note]
        for announcement in (self.run.announcement, *notes):
            yield {"item": [pickle.dumps(announcement)]}
        model_inputs = (to_model_input(self.run, image) for image in images)
        forward_results = stages.run_batches(self.run, model_inputs, self.padded_size)
        explanations = (stages.make_explanations(self.run, result) for result in forward_results)
        yield from ({"item": [pickle.dumps(item)]} for item in zip(tasks, explanations, strict=True))


def _unpickle(item: bytes) -> Any:
    """Unpickle an item; only processes of the same run produce items."""
    return pickle.loads(item)  # noqa: S301


def _chdir(directory: str) -> None:
    """Change to the driver's working directory, so that relative paths are valid; ignored if nodes do not share it."""
    with contextlib.suppress(OSError):
        os.chdir(directory)
