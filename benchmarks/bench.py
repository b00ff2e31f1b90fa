"""Measure gradcam and other tools in turn, each in a process of its own, and print one table for each suite.

Examples:
    python benchmarks/bench.py --list
    python benchmarks/bench.py images --weights vgg19.h5 --image-dir DIR --tools gradcam,bare,captum
    python benchmarks/bench.py images --weights vgg19.h5 --cases overlay,npz --tools gradcam --gradcam ../old-checkout

The tools are installed into benchmarks/.venvs, the results written to benchmarks/runs: results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardware import commit_of, describe_hardware
from table import Run, tables
from venvs import HERE, ROOT, InstallError, first_error, make_venv, versions_in

from tools import BOTH, CASES, GRADCAM, SUITES, TOOLS, Job, Tool, jobs_for

RUNS = HERE / "runs"
LAYER = "block5_conv4"
METHOD_IMAGES = 4
"""Images of the suite `methods`, in batches of one: Score-CAM needs a minute for each."""
LIST = operator.methodcaller("split", ",")
DATA = os.environ.get("GRADCAM_TEST_DATA")


def main() -> None:
    """Measure, write the results and print the tables."""
    options = parse_options()
    tools = [tool for tool in TOOLS if tool.name in options.tools]
    tools[1:1] = [checkout_tool(path) for path in options.gradcam]
    jobs = [job for suite in options.suites for job in jobs_for(suite, tools, options.cases, options.precisions)]
    if options.list:
        print("\n".join(job.name for job in jobs))
        return
    hardware = describe_hardware()
    pythons, failures = install({job.tool.venv for job in jobs}, options.python)
    make_inputs({job.suite for job in jobs}, options, pythons)
    runs = measure([job for job in jobs if job.tool.venv in pythons], options, pythons, failures)
    page = f"{hardware}; gradcam {commit_of(ROOT)}\n\n{tables(runs)}\n"
    page += "".join(f"\nNot run: {name}: `{reason}`" for name, reason in failures.items())
    (RUNS / "results.json").write_text(json.dumps({"hardware": hardware, "runs": runs, "failures": failures}, indent=1))
    (RUNS / "results.md").write_text(page)
    print(page)


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, names = parser.add_argument, [tool.name for tool in TOOLS]
    weights, mnist = os.environ.get("GRADCAM_WEIGHTS"), Path(DATA or ".", "mnist.npz")
    images = Path(DATA, "images") if DATA else ROOT / "sample_images"
    add("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)} [all]")
    add("--list", action="store_true", help="print the selected rows as SUITE-CASE-PRECISION-TOOL, and exit")
    add("--tools", type=LIST, default=names, metavar="A,B", help=f"{', '.join(names)} [all]")
    add("--cases", type=LIST, default=CASES, metavar="A,B", help=f"{', '.join(CASES)} [all]")
    add("--precisions", type=LIST, default=BOTH, metavar="A,B", help=f"{', '.join(BOTH)} [both]")
    checkouts = {"type": Path, "action": "append", "default": [], "metavar": "DIR"}
    add("--gradcam", **checkouts, help="another checkout of gradcam, to measure with this one; repeatable")
    add("--python", type=Path, metavar="FILE", help="interpreter with gradcam's dependencies [one in .venvs]")
    add("--weights", type=Path, default=weights, help="Keras's VGG19 file (.h5) [$GRADCAM_WEIGHTS]")
    add("--image-dir", type=Path, default=images, help="JPEG files [$GRADCAM_TEST_DATA/images]")
    add("--mnist", type=Path, default=mnist, help="Keras's file [$GRADCAM_TEST_DATA/mnist.npz]")
    add("--images", type=int, default=64, help="images of a run [64]; files repeat if there are fewer")
    add("--batch-size", type=int, default=8, help="[8]")
    add("--steps", type=int, default=50, help="training steps; the first five are not timed [50]")
    add("--seconds", type=float, default=8.0, help="measuring time of an ODE solver [8]")
    add("--repeats", type=int, default=3, help="[3]")
    options = parser.parse_args(arguments)
    options.suites = options.suites or list(SUITES)
    choices = {"suites": SUITES, "tools": names, "cases": CASES, "precisions": BOTH}
    for name, known in choices.items():
        if unknown := set(getattr(options, name)) - set(known):
            parser.error(f"{name}: expected {', '.join(known)}, got {', '.join(sorted(unknown))}")
    if options.images % options.batch_size or options.images < 8 * options.batch_size:
        parser.error("--images: expected at least eight batches, all of them full")
    if len({path.resolve().name for path in options.gradcam}) < len(options.gradcam):
        parser.error("--gradcam: expected directories of different names")
    return options


def checkout_tool(checkout: Path) -> Tool:
    """Return gradcam as another checkout has it; only its command line is used."""
    runners = {suite: GRADCAM.runners[suite] for suite in ("images", "methods")}
    path = checkout.resolve()
    return GRADCAM._replace(name=f"gradcam-{path.name}", runners=runners, checkout=str(path))


def install(venvs: set[str], python: Path | None) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the interpreter of each environment, and the reasons of those that cannot be created."""
    pythons, failures = {}, {}
    for name in sorted(venvs | {"gradcam"}):
        try:
            pythons[name] = python.absolute() if python and name == "gradcam" else make_venv(name)
        except InstallError as error:
            failures[name] = str(error)
    return pythons, failures


def make_inputs(suites: set[str], options: argparse.Namespace, pythons: dict[str, Path]) -> None:
    """Copy the images, and write the inputs of the ODE tools and of the training."""
    RUNS.mkdir(exist_ok=True)
    script = [pythons["gradcam"], HERE / "runners" / "make_inputs.py", RUNS / "inputs"]
    if {"images", "methods"} & suites:
        if not (options.weights and Path(options.weights).is_file() and options.image_dir.is_dir()):
            raise SystemExit("error: the suites images and methods require --weights FILE and --image-dir DIR")
        Path(options.weights).read_bytes()  # into the page cache, for the first tool, too
        copy_images(options.image_dir, RUNS / "images", options.images)
        copy_images(options.image_dir, RUNS / "method-images", METHOD_IMAGES)
    if "odes" in suites:
        subprocess.run([*script, "odes"], check=True, cwd=RUNS, env=environment(GRADCAM))
    if "training" in suites:
        words = ["training", options.mnist.resolve(), str(options.steps)]
        subprocess.run([*script, *words], check=True, cwd=RUNS, env=environment(GRADCAM))


def copy_images(source: Path, target: Path, count: int) -> None:
    """Copy `count` JPEG files under new names, cyclically if there are fewer."""
    files = sorted(path for path in source.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not files:
        raise SystemExit(f"error: no JPEG file in {source}")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for i in range(count):
        shutil.copyfile(files[i % len(files)], target / f"{i:04}.jpg")


def measure(
    jobs: Sequence[Job], options: argparse.Namespace, pythons: dict[str, Path], failures: dict[str, str]
) -> list[Run]:
    """Run all jobs in turn, as often as requested; a failed job is added to `failures` and not repeated."""
    versions = {name: versions_in(python) for name, python in pythons.items()}
    runs: list[Run] = []
    shutil.rmtree(RUNS / "out", ignore_errors=True)
    for repeat in range(options.repeats):
        for job in jobs:
            if job.name in failures:
                continue
            record, error = run_job(job, options, pythons[job.tool.venv])
            if error:
                failures[job.name] = error
                print(f"{job.name}: {error}", file=sys.stderr)
                continue
            version = versions[job.tool.venv].get(job.tool.package) or commit_of(Path(job.tool.checkout or ROOT))
            row = {"suite": job.suite, "case": job.case, "precision": job.precision, "tool": job.tool.name}
            runs.append({**row, "version": version, "repeat": repeat, **record})
            print(f"{job.name}: {record['ms']:.4g} ms", file=sys.stderr)
    return runs


def run_job(job: Job, options: argparse.Namespace, python: Path) -> tuple[dict[str, Any], str]:
    """Run one job; return its record with the peak memory of the process, or an empty one and the error."""
    log = RUNS / "logs" / f"{job.name}.txt"
    log.parent.mkdir(exist_ok=True)
    start = time.perf_counter()
    words, around = [str(word) for word in command(job, options, python)], environment(job.tool)
    with (
        log.open("w") as stderr,
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=stderr, text=True, cwd=RUNS, env=around) as process,
    ):
        stdout = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        return {}, first_error(log.read_text())
    record = {"extras": {}} if job.case == "cold-start" else json.loads(stdout.splitlines()[-1])
    if job.case == "cold-start":
        record["ms"] = 1000 * seconds
    return {**record, "memory_mb": round(usage.ru_maxrss / 1024)}, ""


def environment(tool: Tool) -> dict[str, str]:
    """Return the environment of a process: the checkout's package first, TensorFlow without its log."""
    return {**os.environ, "PYTHONPATH": tool.checkout or str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}


def command(job: Job, options: argparse.Namespace, python: Path) -> list[Any]:
    """Return the command line that measures a job."""
    script = job.tool.runners[job.suite]
    runner = [python, HERE / "runners" / script]
    if job.suite in ("odes", "training"):
        numbers = ("--seconds", options.seconds, "--steps", options.steps)
        return [*runner, job.case, "--inputs", RUNS / "inputs", *numbers]
    weights = Path(options.weights).resolve()
    out, reference = RUNS / "out" / job.name, RUNS / "out" / "images-npz-float32-gradcam"
    if job.case == "cold-start":
        image = RUNS / "images" / "0000.jpg"
        if script == GRADCAM.runners["images"]:
            model = ("--model", "vgg19", "--weights", weights, "--layer", LAYER)
            return [python, "-P", "-m", "gradcam_cli", image, *model, "--output", f"{out}/"]
        return [*runner, "--weights", weights, "--images", image, "--out", out, "--batch-size", 1]
    runner += ["--weights", weights, "--out", out, "--precision", job.precision]
    if job.suite == "methods":
        return [*runner, "--images", RUNS / "method-images", "--case", "npz", "--method", job.case, "--batch-size", 1]
    runner += ["--images", RUNS / "images", "--case", job.case, "--batch-size", options.batch_size]
    return [*runner, "--reference", reference] if job.case == "npz" and reference.exists() else runner


if __name__ == "__main__":
    main()
