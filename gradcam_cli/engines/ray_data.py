"""The engine of a Ray cluster: jobs stream through tasks that read, workers with a model, and tasks that write.

A task that fails with its process or node is done again, elsewhere; files are replaced whole, and of each job one
result comes back, so that nothing is lost and nothing told twice. The order is that of the jobs.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import pickle
import socket
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gradcam_cli.engines.work import Finished, Job, Work
from gradcam_cli.errors import GradcamError, UsageError

CHUNK = 20_000
"""Jobs a worker that are planned and sent at once: the driver never holds more."""
LIGHT = 0.5
"""Share of a CPU for tasks that read or write. Other than the workers', so that Ray Data does not fuse them."""


@dataclass(frozen=True)
class Cluster:
    """Where Ray runs, and how the work is shared out.

    Attributes:
        address: of a running cluster; None starts one on this machine.
        workers: how many hold a model; None for one a GPU, or for half of all CPUs where there is none.
        cpus: of a worker.
        gpus: of a worker; None for one where the cluster has GPUs.
        batch_size: images in a pass.
    """

    address: str | None = None
    workers: int | None = None
    cpus: float = 1
    gpus: float | None = None
    batch_size: int = 8


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
    with _connected(cluster) as (workers, resources), _told_plainly():
        size = 0
        while chunk := list(itertools.islice(jobs, CHUNK * workers)):
            size = size or min(cluster.batch_size, len(chunk))
            for row in _stream(chunk, work, workers, resources, cluster.batch_size, size):
                finished = pickle.loads(row["item"])
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
    read = rows.map(_Read(work, here), num_cpus=LIGHT)
    explained = read.map_batches(
        Explainer,
        fn_constructor_args=(work, here, max(1, int(resources["num_cpus"])), size),
        batch_size=batch_size,
        compute=data.ActorPoolStrategy(size=workers),
        **resources,
    )
    yield from explained.map(_Finish(work, here), num_cpus=LIGHT).iter_rows()


@dataclass(frozen=True)
class _Read:
    work: Work
    directory: str

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        _go_to(self.directory)
        job: Job = pickle.loads(row["item"])
        return {"item": pickle.dumps((job, self.work.read(job)))}


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
        from gradcam_cli import pipeline

        pairs = [pickle.loads(item) for item in batch["item"]]
        seen = (pipeline.see(self.run, photo) for _, photo in pairs)
        scored = pipeline.score(self.run, seen, self.size)
        results = [(job, pipeline.explain(self.run, one)) for (job, _), one in zip(pairs, scored, strict=True)]
        return {"item": [pickle.dumps(result) for result in results]}


@dataclass(frozen=True)
class _Finish:
    work: Work
    directory: str

    def __call__(self, row: dict[str, bytes]) -> dict[str, bytes]:
        _go_to(self.directory)
        item = pickle.loads(row["item"])
        if isinstance(item, GradcamError):
            return row
        job, result = item
        return {"item": pickle.dumps(self.work.finish(job, result))}


def _go_to(directory: str) -> None:
    """Work where the command was typed, which its relative paths are seen from; elsewhere where that is not shared."""
    with contextlib.suppress(OSError):
        os.chdir(directory)


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[tuple[int, dict[str, float]]]:
    """Connect to the cluster, or start one; yield how many workers there are to be, and what each takes."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray import data
    except ImportError as error:
        raise UsageError(f"--engine ray: {error}", "pip install 'gradcam-cli[ray]'") from error
    if cluster.address:
        _check_reachable(cluster.address)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        ray.init(
            address=cluster.address or "local",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            include_dashboard=None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"--address {cluster.address}: no Ray cluster can be reached: {error}") from error
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        yield _share(ray.cluster_resources(), cluster)
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """Knock at `host:port`: Ray itself would try for eight minutes.

    Raises:
        UsageError: nobody answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--address {address}: no Ray cluster can be reached: {error}", "`ray start --head` tells its address"
            ) from error


def _share(there: dict[str, float], cluster: Cluster) -> tuple[int, dict[str, float]]:
    """Return the number of workers, and the resources of each.

    Raises:
        UsageError: the cluster has not what one worker takes, and a CPU for reading and writing besides.
    """
    cpus, gpus = there.get("CPU", 0), there.get("GPU", 0)
    each = cluster.gpus if cluster.gpus is not None else float(gpus >= 1)
    most = int(min((cpus - 1) // cluster.cpus if cluster.cpus else cpus, gpus // each if each else cpus))
    workers = cluster.workers or max(1, most if each else int(cpus // 2 // max(cluster.cpus, 1)))
    if workers > most:
        raise UsageError(
            f"expected a cluster for {workers} workers of {cluster.cpus:g} CPUs and {each:g} GPUs, and a CPU more, "
            f"got {cpus:g} CPUs and {gpus:g} GPUs",
            "lower --model-workers, --worker-cpus or --worker-gpus",
        )
    return workers, {"num_cpus": cluster.cpus, "num_gpus": each}


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Tell an error of Ray's in one sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise GradcamError(f"ray: {str(error).strip().splitlines()[-1]}", "--debug shows all of it") from error
