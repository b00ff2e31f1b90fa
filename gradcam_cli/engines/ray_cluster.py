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
class RayConfig:
    """Where Ray runs, and how the work is shared out; the names are those of the options.

    Attributes:
        ray_address: of a running cluster; None starts one on this machine.
        ray_actors: how many hold a model; None for one a GPU, or for half of all CPUs where there is none.
        ray_num_cpus: CPUs of each.
        ray_num_gpus: GPUs of each; None for one where the cluster has GPUs.
        batch_size: images in a pass.
    """

    ray_address: str | None = None
    ray_actors: int | None = None
    ray_num_cpus: float = 1
    ray_num_gpus: float | None = None
    batch_size: int = 8


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[tuple[int, dict[str, float]]]:
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
    if config.ray_address:
        _check_reachable(config.ray_address)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        ray.init(
            address=config.ray_address or "local",
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            include_dashboard=None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"--address {config.ray_address}: no Ray cluster can be reached: {error}") from error
    try:
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        yield _allocate_actors(ray.cluster_resources(), config)
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


def _allocate_actors(available: dict[str, float], config: RayConfig) -> tuple[int, dict[str, float]]:
    """Return the number of workers, and the resources of each.

    Raises:
        UsageError: the cluster has not what one worker takes, and a CPU for reading and writing besides.
    """
    cpus, gpus = available.get("CPU", 0), available.get("GPU", 0)
    each = config.ray_num_gpus if config.ray_num_gpus is not None else float(gpus >= 1)
    most = int(min((cpus - 1) // config.ray_num_cpus if config.ray_num_cpus else cpus, gpus // each if each else cpus))
    workers = config.ray_actors or max(1, most if each else int(cpus // 2 // max(config.ray_num_cpus, 1)))
    if workers > most:
        raise UsageError(
            f"expected a cluster for {workers} workers of {config.ray_num_cpus:g} CPUs and {each:g} GPUs, "
            f"and a CPU more, got {cpus:g} CPUs and {gpus:g} GPUs",
            "lower --model-workers, --worker-cpus or --worker-gpus",
        )
    return workers, {"num_cpus": config.ray_num_cpus, "num_gpus": each}


@contextlib.contextmanager
def one_line_ray_errors() -> Iterator[None]:
    """Tell an error of Ray's in one sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise GradcamError(f"ray: {str(error).strip().splitlines()[-1]}", "--debug shows all of it") from error
