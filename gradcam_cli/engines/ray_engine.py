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

from gradcam_cli.engines.job import Finished, Job, Work
from gradcam_cli.engines.ray_cluster import Cluster, connected, told_plainly
from gradcam_cli.errors import GradcamError
from gradcam_cli.images.load import Photo, Unexplained
from gradcam_cli.pipeline.results import Explanation

CHUNK = 20_000
"""Jobs a worker that are planned and sent at once: the driver never holds more."""
LIGHT = 0.5
"""Share of a CPU for tasks that read or write. Other than the workers', so that Ray Data does not fuse them."""


def run_on_ray(jobs: Iterable[Job], work: Work, cluster: Cluster) -> Generator[Finished]:
    """Do all jobs on a cluster.

    Args:
        jobs: drawn in portions.
        work: what is done with each; its `load` is called once a worker.
        cluster: where.

    Raises:
        UsageError: Ray is missing, the cluster cannot be reached, or is too small for a worker.
        GradcamError: what `work.load` raises, or Ray cannot go on.
    """
    jobs = iter(jobs)
    with connected(cluster) as (workers, resources), told_plainly():
        size = 0
        while chunk := list(itertools.islice(jobs, CHUNK * workers)):
            size = size or min(cluster.batch_size, len(chunk))
            for row in _stream(chunk, work, workers, resources, cluster.batch_size, size):
                finished = _unpickled(row["item"])
                if isinstance(finished, GradcamError):
                    raise finished
                yield finished


def _stream(
    jobs: list[Job], work: Work, workers: int, resources: dict[str, float], batch_size: int, size: int
) -> Iterator[dict[str, bytes]]:
    from ray import data

    here = os.getcwd()
    blocks = -(-len(jobs) // batch_size)
    rows = data.from_items([{"item": pickle.dumps(job)} for job in jobs], override_num_blocks=blocks)
    read = rows.map(_Task(partial(_read, work), here), num_cpus=LIGHT)
    explained = read.map_batches(
        Explainer,
        fn_constructor_args=(work, here, max(1, int(resources["num_cpus"])), size),
        batch_size=batch_size,
        compute=data.ActorPoolStrategy(size=workers),
        **resources,
    )
    yield from explained.map(_Task(partial(_finish, work), here), num_cpus=LIGHT).iter_rows()


@dataclass(frozen=True)
class _Task:
    """A step of the stream that needs no model, done with one item."""

    step: Callable[[Any], Any]
    directory: str

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        _go_to(self.directory)
        return {"item": pickle.dumps(self.step(_unpickled(row["item"])))}


def _read(work: Work, job: Job) -> tuple[Job, Photo | Unexplained]:
    return job, work.read(job)


def _finish(work: Work, item: tuple[Job, list[Explanation] | Unexplained] | GradcamError) -> Finished | GradcamError:
    return item if isinstance(item, GradcamError) else work.finish(*item)


class Explainer:
    """A worker: a model that is loaded once, and explains batch after batch.

    Args:
        work: says what to load.
        directory: to work in.
        threads: that the network may use.
        size: to which every batch is filled up, so that nothing is compiled twice.
    """

    def __init__(self, work: Work, directory: str, threads: int, size: int) -> None:
        _go_to(directory)
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))  # else each worker takes all cores,
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # and all memory of a GPU that it shares
        self.size = size
        try:
            self.run = work.load()
        except GradcamError as error:  # travels as a result: raised here, Ray would wrap it and try again
            self.error: GradcamError | None = error
        else:
            self.error = None

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
        """Explain the photos of a batch."""
        if self.error:
            return {"item": [pickle.dumps(self.error)] * len(batch["item"])}
        from gradcam_cli.pipeline import stages

        pairs = [_unpickled(item) for item in batch["item"]]
        seen = (stages.see(self.run, photo) for _, photo in pairs)
        scored = stages.score(self.run, seen, self.size)
        results = [(job, stages.explain(self.run, one)) for (job, _), one in zip(pairs, scored, strict=True)]
        return {"item": [pickle.dumps(result) for result in results]}


def _unpickled(item: bytes) -> Any:
    """Return what a process of the same run has pickled; nothing else comes here."""
    return pickle.loads(item)  # noqa: S301


def _go_to(directory: str) -> None:
    """Work where the command was typed, which its relative paths are seen from; elsewhere where that is not shared."""
    with contextlib.suppress(OSError):
        os.chdir(directory)
