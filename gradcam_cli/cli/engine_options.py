"""The options of the execution engine, and the call of the chosen engine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import combine_options, option_group
from gradcam_cli.cli.native_stderr import filtered_native_stderr
from gradcam_cli.cli.options import before_loading
from gradcam_cli.console import log
from gradcam_cli.errors import UsageError

if TYPE_CHECKING:
    from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult

_engine = option_group("Engine")
RAY_OPTIONS = ("ray_address", "ray_actors", "ray_num_cpus", "ray_num_gpus")
engine_options = combine_options(
    _engine(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Execution engine: this process, or a Ray cluster (pip install 'gradcam-cli[ray]').",
    ),
    _engine(
        "--ray-address",
        metavar="ADDRESS",
        help="Address of a running Ray cluster. [default: start a cluster on this machine]",
    ),
    _engine(
        "--ray-actors",
        type=click.IntRange(1),
        metavar="N",
        help="Ray actors, each with a loaded model. [default: one per GPU, or one per two CPUs]",
    ),
    _engine("--ray-num-cpus", type=click.FloatRange(0), metavar="X", help="CPUs per Ray actor. [default: 1]"),
    _engine(
        "--ray-num-gpus",
        type=click.FloatRange(0),
        metavar="X",
        help="GPUs per Ray actor. [default: 1 if the cluster has GPUs]",
    ),
)


def run_engine(
    ctx: click.Context, options: dict[str, Any], tasks: Iterable[ExplainTask], handler: JobHandler
) -> Generator[JobResult]:
    """Run all tasks with the chosen engine; TensorFlow is imported when a model is needed.

    Raises:
        UsageError: an option requires the other engine.
    """
    if options["engine"] == "local":
        return _run_local(ctx, options, tasks, handler)
    return _run_on_ray(ctx, options, tasks, handler)


def _run_local(
    ctx: click.Context, options: dict[str, Any], tasks: Iterable[ExplainTask], handler: JobHandler
) -> Generator[JobResult]:
    for name in RAY_OPTIONS:
        if options[name] is not None:
            raise UsageError(f"--{name.replace('_', '-')} requires --engine ray")
    from gradcam_cli.engines.local import run_local

    def before_load() -> None:
        before_loading(ctx, options)

    return run_local(tasks, handler, threads=options["threads"], before_load=before_load)


def _run_on_ray(
    ctx: click.Context, options: dict[str, Any], tasks: Iterable[ExplainTask], handler: JobHandler
) -> Generator[JobResult]:
    if options["threads"] is not None:
        raise UsageError("--threads requires --engine local", "use --ray-actors to set the number of processes")
    from gradcam_cli.engines.ray_cluster import RayConfig
    from gradcam_cli.engines.ray_engine import run_on_ray

    log.info("connecting to %s", options["ray_address"] or "a Ray cluster on this machine")
    if _is_verbose(options):
        messages = sys.stderr
    else:
        ctx.with_resource(filtered_native_stderr())
        messages = ctx.with_resource(Path(os.devnull).open("w"))  # noqa: SIM115
    ctx.with_resource(contextlib.redirect_stdout(messages))  # Ray prints messages about failed workers there
    values = {name: options[name] for name in (*RAY_OPTIONS, "batch_size") if options[name] is not None}
    return run_on_ray(tasks, handler, RayConfig(**values))


def _is_verbose(options: dict[str, Any]) -> bool:
    return bool(options["verbose"] or options["debug"])
