"""The options that say where the work is done, and the choice of the engine."""

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
from gradcam_cli.cli.options import quiet_tensorflow
from gradcam_cli.console import log
from gradcam_cli.errors import UsageError

if TYPE_CHECKING:
    from gradcam_cli.engines.job import ExplainTask, JobHandler, JobResult

_engine = option_group("Engine")
RAY_ONLY = ("address", "model_workers", "worker_cpus", "worker_gpus")
engine_options = combine_options(
    _engine(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where the work is done: this process, or a Ray cluster (pip install 'gradcam-cli[ray]').",
    ),
    _engine("--address", metavar="ADDRESS", help="ray: of a running cluster. [default: one on this machine]"),
    _engine(
        "--model-workers",
        type=click.IntRange(1),
        metavar="N",
        help="ray: processes with a model. [default: one a GPU, or one for two CPUs]",
    ),
    _engine("--worker-cpus", type=click.FloatRange(0), metavar="X", help="ray: CPUs of each. [default: 1]"),
    _engine(
        "--worker-gpus", type=click.FloatRange(0), metavar="X", help="ray: GPUs of each. [default: 1 if there are]"
    ),
)


def run_engine(
    ctx: click.Context, options: dict[str, Any], tasks: Iterable[ExplainTask], handler: JobHandler
) -> Generator[JobResult]:
    """Do all jobs where the options say; imports TensorFlow when a model is needed.

    Raises:
        UsageError: an option belongs to another engine.
    """
    loud = options["verbose"] or options["debug"]
    if options["engine"] == "local":
        for name in RAY_ONLY:
            if options[name] is not None:
                raise UsageError(f"--{name.replace('_', '-')} belongs to --engine ray, which is missing")
        from gradcam_cli.engines.local import run_local

        def before_load() -> None:
            log.info("loading %s", options["model"])
            quiet_tensorflow(ctx, verbose=loud)

        return run_local(tasks, handler, threads=options["threads"], before_load=before_load)
    if options["threads"] is not None:
        raise UsageError("--threads requires --engine local", "use --ray-actors to set the number of processes")
    from gradcam_cli.engines.ray_cluster import RayConfig
    from gradcam_cli.engines.ray_engine import run_on_ray

    log.info("starting on %s", options["address"] or "a Ray cluster on this machine")
    if not loud:
        ctx.with_resource(filtered_native_stderr())
    messages = sys.stderr if loud else ctx.with_resource(Path(os.devnull).open("w"))  # noqa: SIM115
    ctx.with_resource(contextlib.redirect_stdout(messages))  # where Ray tells of workers that died
    given = {name: options[name] for name in (*RAY_ONLY, "batch_size") if options[name] is not None}
    return run_on_ray(tasks, handler, RayConfig(**given))
