"""Connecting to a Ray cluster, or starting one, and allocating its resources to actors."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from gradcam_cli.errors import GradcamError, UsageError


@dataclass(frozen=True)
class RayConfig:
    """Address and resources of the Ray engine; the fields have the names of the options.

    Attributes:
        ray_address: address of a running cluster; None starts one on this machine.
        ray_actors: number of actors, each with a loaded model; None for one per GPU or, without GPUs, one per two CPUs.
        ray_num_cpus: CPUs per actor.
        ray_num_gpus: GPUs per actor; None for 1 if the cluster has GPUs.
        batch_size: images per batch.
    """

    ray_address: str | None = None
    ray_actors: int | None = None
    ray_num_cpus: float = 1
    ray_num_gpus: float | None = None
    batch_size: int = 8


@contextlib.contextmanager
def connected(config: RayConfig) -> Iterator[tuple[int, dict[str, float]]]:
    """Connect to the cluster, or start one; yield the number of actors and the resources of each.

    Raises:
        UsageError: Ray is not installed, the cluster cannot be reached, or is too small.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # would upload the working directory to the workers
    try:
        import ray
        from ray import data
    except ImportError as error:
        raise UsageError(f"--engine ray: {error}", "pip install 'gradcam-cli[ray]'") from error
    if config.ray_address:
        _check_reachable(config.ray_address)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_initialized(config))
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(_connection_error(config, error)) from error
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        yield _allocate_actors(ray.cluster_resources(), config)


@contextlib.contextmanager
def _initialized(config: RayConfig) -> Iterator[None]:
    """Call `ray.init` in an empty directory.

    Ray starts its processes in the working directory and inserts it first in `sys.path` of every worker. A worker would
    then import a `PIL.py` next to the images.
    """
    import ray

    with tempfile.TemporaryDirectory(prefix="gradcam-ray-", ignore_cleanup_errors=True) as empty:
        with contextlib.chdir(empty):
            ray.init(
                address=config.ray_address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                include_dashboard=None,
            )
        try:
            yield
        finally:
            ray.shutdown()


def _connection_error(config: RayConfig, error: Exception) -> str:
    if config.ray_address:
        return f"--ray-address {config.ray_address}: cannot connect to a Ray cluster: {error}"
    return f"--engine ray: cannot start Ray: {error}"


def _check_reachable(address: str) -> None:
    """Open and close a connection to `host:port`; Ray itself would retry for eight minutes.

    Raises:
        UsageError: the connection fails.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--ray-address {address}: cannot connect to a Ray cluster: {error}",
                "`ray start --head` prints the address",
            ) from error


def _allocate_actors(available: dict[str, float], config: RayConfig) -> tuple[int, dict[str, float]]:
    """Return the number of actors, and the resources of each; one CPU is reserved for reading and writing.

    Raises:
        UsageError: the cluster has fewer resources than the actors require.
    """
    cpus, gpus = available.get("CPU", 0), available.get("GPU", 0)
    num_cpus = config.ray_num_cpus
    num_gpus = config.ray_num_gpus if config.ray_num_gpus is not None else float(gpus >= 1)
    max_actors = int(min((cpus - 1) // num_cpus if num_cpus else cpus, gpus // num_gpus if num_gpus else cpus))
    default_actors = max_actors if num_gpus else int(cpus // 2 // max(num_cpus, 1))
    actors = config.ray_actors or max(1, default_actors)
    if actors > max_actors:
        raise UsageError(
            f"the Ray cluster has {cpus:g} CPUs and {gpus:g} GPUs: too few for {actors} actors with {num_cpus:g} CPUs "
            f"and {num_gpus:g} GPUs each and one further CPU",
            "lower --ray-actors, --ray-num-cpus or --ray-num-gpus",
        )
    return actors, {"num_cpus": num_cpus, "num_gpus": num_gpus}


@contextlib.contextmanager
def one_line_ray_errors() -> Iterator[None]:
    """Turn an error of Ray into a `GradcamError` with one line of text."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        message = str(error).strip().splitlines()[-1]
        raise GradcamError(f"ray: {message}", "--debug prints the traceback") from error
