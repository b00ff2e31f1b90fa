"""Run gradcam and its peers side by side and write down how long each takes.

`python benchmarks/bench.py --weights FILE --photos DIR`; the tools are installed into benchmarks/.envs.
A run of the whole table writes README.md, results.json and speed.png beside this file; a run of a part
writes them to benchmarks/runs/part.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from contenders import GRADCAM, KINDS, NAMES, PRECISIONS, Job, command, jobs_of
from environments import HERE, OURS, InstallError, make_environment, python_of, reason, versions_in
from machine import describe
from page import page

RUNS = HERE / "runs"


class RunError(Exception):
    """A tool did not do its job; the message is the reason."""


def main() -> None:
    """Measure, and write the results, the page and the plot."""
    options = read_options()
    jobs = jobs_of(options.tools, options.kinds, options.precisions)
    not_run = install(jobs)
    distinct = copy_photos(options.photos, options.images)
    options.weights.read_bytes()  # into the page cache, for the first tool too
    runs = measure(options, jobs, not_run)
    results = {
        "setting": {**vars_of(options), "distinct_photos": distinct, **describe(RUNS / "photos")},
        "runs": runs,
        "agreement": agreement(jobs, not_run),
        "not_run": [{**label(job), "reason": why} for job, why in not_run.items()],
    }
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.into / "README.md").write_text(page(results))
    subprocess.run([python_of(OURS), HERE / "plot.py", options.into], check=True)


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    weights, data = os.environ.get("GRADCAM_WEIGHTS"), os.environ.get("GRADCAM_TEST_DATA")
    photos = Path(data) / "images" if data else None
    parser.add_argument(
        "--weights", type=Path, default=weights or None, help="Keras's VGG19 file (.h5) [$GRADCAM_WEIGHTS]"
    )
    parser.add_argument("--photos", type=Path, default=photos, help="where the JPEGs are [$GRADCAM_TEST_DATA/images]")
    parser.add_argument("--images", type=int, default=256, help="photos a run; they repeat where too few [256]")
    parser.add_argument("--batch-size", type=int, default=8, help="[8]")
    parser.add_argument("--repeats", type=int, default=3, help="[3]")
    parser.add_argument("--tools", type=words, default=NAMES, help=f"some of: {', '.join(NAMES)}")
    parser.add_argument("--kinds", type=words, default=KINDS, help=f"some of: {', '.join(KINDS)}")
    parser.add_argument("--precisions", type=words, default=PRECISIONS, help=f"some of: {', '.join(PRECISIONS)}")
    parser.add_argument("--quick", action="store_true", help="two batches, once: does everything run?")
    options = parser.parse_args()
    if options.quick:
        options.images, options.repeats = 2 * options.batch_size, 1
    for asked, known in ((options.tools, NAMES), (options.kinds, KINDS), (options.precisions, PRECISIONS)):
        if unknown := set(asked) - set(known):
            parser.error(f"expected some of {', '.join(known)}, got {', '.join(sorted(unknown))}")
    if not (options.weights and options.weights.is_file() and options.photos and options.photos.is_dir()):
        parser.error("expected --weights FILE and --photos DIR")
    if options.images % options.batch_size or options.images < 2 * options.batch_size:
        parser.error("expected --images to be two batches or more, all of them full")
    whole = not options.quick and jobs_of(options.tools, options.kinds, options.precisions) == jobs_of()
    options.into = HERE if whole else RUNS / "part"
    return options


def words(text: str) -> list[str]:
    """Split at commas."""
    return [word.strip() for word in text.split(",")]


def vars_of(options: argparse.Namespace) -> dict[str, int]:
    """Return the numbers asked for."""
    return {name: getattr(options, name) for name in ("images", "batch_size", "repeats")}


def install(jobs: list[Job]) -> dict[Job, str]:
    """Make the environments; return the jobs that cannot run, with the reason.

    Raises:
        InstallError: our own environment cannot be made.
    """
    make_environment(OURS)
    failed = {}
    for name in dict.fromkeys(job.contender.environment for job in jobs if job.contender.environment != OURS):
        try:
            make_environment(name)
        except InstallError as error:
            failed[name] = str(error)
    return {job: failed[job.contender.environment] for job in jobs if job.contender.environment in failed}


def copy_photos(source: Path, count: int) -> int:
    """Copy `count` photos to runs/photos under new names, over and over if need be; return how many differ."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not found:
        raise SystemExit(f"error: no JPEG found in {source}")
    target = RUNS / "photos"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for i in range(count):
        shutil.copyfile(found[i % len(found)], target / f"{i:04}.jpg")
    return min(count, len(found))


def measure(options: argparse.Namespace, jobs: list[Job], not_run: dict[Job, str]) -> list[dict[str, Any]]:
    """Run the jobs in turn, again and again, each in a fresh process; what fails is added to `not_run`."""
    versions = {name: versions_in(name) for name in {job.contender.environment for job in jobs if job not in not_run}}
    runs = []
    for repeat in range(options.repeats):
        for job in jobs:
            if job in not_run:
                continue
            try:
                run = run_job(job, options)
            except RunError as error:
                not_run[job] = str(error)
                print(f"{job.name}: {error}", file=sys.stderr)
                continue
            version = versions[job.contender.environment][job.contender.distribution]
            runs.append({**label(job), "version": version, "repeat": repeat, **run})
            print(f"{job.name}: {1000 * run['seconds'] / run['images']:.1f} ms an image", file=sys.stderr)
    return runs


def run_job(job: Job, options: argparse.Namespace) -> dict[str, Any]:
    """Run one job and return what it measured, with the time and the memory of its process.

    Raises:
        RunError: the process failed.
    """
    out, log = out_of(job), RUNS / "logs" / f"{job.name}.txt"
    shutil.rmtree(out, ignore_errors=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    line = command(job, options.weights, RUNS / "photos", out, options.batch_size)
    start = time.perf_counter()
    with (
        log.open("w") as stderr,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=stderr, text=True, env=quiet()) as process,
    ):
        stdout = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RunError(reason(log.read_text()))
    run = {"process_seconds": seconds, "peak_rss_mb": round(usage.ru_maxrss / 1024)}
    if job.kind == "oneshot":
        return {"images": 1, "seconds": seconds, "threads": len(os.sched_getaffinity(0)), **run}
    return {**run, **json.loads(stdout.splitlines()[-1])}


def quiet() -> dict[str, str]:
    """Return the environment in which TensorFlow keeps its remarks to itself."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def out_of(job: Job) -> Path:
    """Return where a job's files go."""
    return RUNS / "out" / job.name


def agreement(jobs: list[Job], not_run: dict[Job, str]) -> list[dict[str, Any]]:
    """Return for each tool that wrote maps how they correlate with ours in float32."""
    ours = Job(GRADCAM, "float32", "npz")
    written = [job for job in jobs if job.kind == "npz" and job not in not_run]
    if ours not in written:
        return []
    line = [python_of(OURS), HERE / "agreement.py", *map(out_of, [ours, *written])]
    found = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    return [{**label(job), **correlation} for job, correlation in zip(written, found, strict=True)]


def label(job: Job) -> dict[str, str]:
    """Return what names a row."""
    return {"tool": job.contender.name, "precision": job.precision, "kind": job.kind}


if __name__ == "__main__":
    main()
