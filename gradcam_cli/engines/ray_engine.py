"""The engine of a Ray cluster: jobs stream through tasks that read, workers with a model, and tasks that write.

A task that fails with its process or node is done again, elsewhere; files are replaced whole, and of each job one
result comes back, so that nothing is lost and nothing told twice. The order is that of the jobs.
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

from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult
from gradcam_cli.engines.ray_cluster import RayConfig, connected, one_line_ray_errors
from gradcam_cli.errors import GradcamError
from gradcam_cli.images.load import LoadedImage, Unexplained
from gradcam_cli.pipeline.results import Explanation

TASKS_PER_ACTOR = 20_000
"""Jobs a worker that are planned and sent at once: the driver never holds more."""
IO_TASK_CPUS = 0.5
"""Share of a CPU for tasks that read or write. Other than the workers', so that Ray Data does not fuse them."""


def run_on_ray(tasks: Iterable[ExplainTask], handler: JobHandler, config: RayConfig) -> Generator[JobResult]:
    """Do all jobs on a cluster.

    Args:
        tasks: drawn in portions.
        handler: what is done with each; its `load` is called once a worker.
        config: where.

    Raises:
        UsageError: Ray is missing, the cluster cannot be reached, or is too small for a worker.
        GradcamError: what `work.load` raises, or Ray cannot go on.
    """
    tasks = iter(tasks)
    with connected(config) as (workers, resources), one_line_ray_errors():
        size = 0
        while chunk := list(itertools.islice(tasks, TASKS_PER_ACTOR * workers)):
            size = size or min(config.batch_size, len(chunk))
            for row in _stream_results(chunk, handler, workers, resources, config.batch_size, size):
                finished = _unpickle(row["item"])
                if isinstance(finished, GradcamError):
                    raise finished
                yield finished


def _stream_results(
    tasks: list[ExplainTask],
    handler: JobHandler,
    actors: int,
    resources: dict[str, float],
    batch_size: int,
    padded_size: int,
) -> Iterator[dict[str, bytes]]:
    from ray import data

    here = os.getcwd()
    blocks = -(-len(tasks) // batch_size)
    rows = data.from_items([{"item": pickle.dumps(job)} for job in tasks], override_num_blocks=blocks)
    read = rows.map(_RayTask(partial(_read, handler), here), num_cpus=IO_TASK_CPUS)
    explained = read.map_batches(
        RayExplainActor,
        fn_constructor_args=(handler, here, max(1, int(resources["num_cpus"])), padded_size),
        batch_size=batch_size,
        compute=data.ActorPoolStrategy(size=actors),
        **resources,
    )
    yield from explained.map(_RayTask(partial(_finish, handler), here), num_cpus=IO_TASK_CPUS).iter_rows()


@dataclass(frozen=True)
class _RayTask:
    """A step of the stream that needs no model, done with one item."""

    step: Callable[[Any], Any]
    directory: str

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        _chdir(self.directory)
        return {"item": pickle.dumps(self.step(_unpickle(row["item"])))}


def _read(handler: JobHandler, task: ExplainTask) -> tuple[ExplainTask, LoadedImage | Unexplained]:
    return task, handler.read(task)


def _finish(
    handler: JobHandler, item: tuple[ExplainTask, list[Explanation] | Unexplained] | GradcamError
) -> JobResult | GradcamError:
    return item if isinstance(item, GradcamError) else handler.finish(*item)


class RayExplainActor:
    """A worker: a model that is loaded once, and explains batch after batch.

    Args:
        handler: says what to load.
        directory: to work in.
        threads: that the network may use.
        padded_size: to which every batch is filled up, so that nothing is compiled twice.
    """

    def __init__(self, handler: JobHandler, directory: str, threads: int, padded_size: int) -> None:
        _chdir(directory)
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))  # else each worker takes all cores,
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # and all memory of a GPU that it shares
        self.padded_size = padded_size
        try:
            self.run = handler.load()
        except GradcamError as error:  # travels as a result: raised here, Ray would wrap it and try again
            self.error: GradcamError | None = error
        else:
            self.error = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        """Explain the photos of a batch."""
        if self.error:
            return {"item": [pickle.dumps(self.error)] * len(batch["item"])}
        from gradcam_cli.pipeline import stages

        pairs = [_unpickle(item) for item in batch["item"]]
        seen = (stages.to_model_input(self.run, photo) for _, photo in pairs)
        scored = stages.run_batches(self.run, seen, self.padded_size)
        results = [(job, stages.make_explanations(self.run, one)) for (job, _), one in zip(pairs, scored, strict=True)]
        return {"item": [pickle.dumps(result) for result in results]}


def _unpickle(item: bytes) -> Any:
    """Return what a process of the same run has pickled; nothing else comes here."""
    return pickle.loads(item)  # noqa: S301


def _chdir(directory: str) -> None:
    """Work where the command was typed, which its relative paths are seen from; elsewhere where that is not shared."""
    with contextlib.suppress(OSError):
        os.chdir(directory)
