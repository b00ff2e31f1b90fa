"""The Ray cluster that an engine works on: reached or started, and shared out among workers."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from gradcam_cli.errors import GradcamError, UsageError


@dataclass(frozen=True)
class Cluster:
    """Where Ray runs, and how the work is shared out; the names are those of the options.

    Attributes:
        address: of a running cluster; None starts one on this machine.
        model_workers: how many hold a model; None for one a GPU, or for half of all CPUs where there is none.
        worker_cpus: CPUs of each.
        worker_gpus: GPUs of each; None for one where the cluster has GPUs.
        batch_size: images in a pass.
    """

    address: str | None = None
    model_workers: int | None = None
    worker_cpus: float = 1
    worker_gpus: float | None = None
    batch_size: int = 8


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[tuple[int, dict[str, float]]]:
    """Connect to the cluster, or start one; yield how many workers there are to be, and what each takes.

    Raises:
        UsageError: Ray is missing, the cluster cannot be reached, or is too small for a worker.
    """
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
    each = cluster.worker_gpus if cluster.worker_gpus is not None else float(gpus >= 1)
    most = int(min((cpus - 1) // cluster.worker_cpus if cluster.worker_cpus else cpus, gpus // each if each else cpus))
    workers = cluster.model_workers or max(1, most if each else int(cpus // 2 // max(cluster.worker_cpus, 1)))
    if workers > most:
        raise UsageError(
            f"expected a cluster for {workers} workers of {cluster.worker_cpus:g} CPUs and {each:g} GPUs, "
            f"and a CPU more, got {cpus:g} CPUs and {gpus:g} GPUs",
            "lower --model-workers, --worker-cpus or --worker-gpus",
        )
    return workers, {"num_cpus": cluster.worker_cpus, "num_gpus": each}


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Tell an error of Ray's in one sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise GradcamError(f"ray: {str(error).strip().splitlines()[-1]}", "--debug shows all of it") from error
