"""Train gradcam's ODE-Net beside the same network in torch with torchdiffeq, and weigh what its training holds.

`python benchmarks/ode_training.py` installs both into benchmarks/.envs, writes ode_training.json and ode_training.png
beside this file and the page anew, of which this is a section; it takes some ten minutes on an idle machine. MNIST is
read from $GRADCAM_TEST_DATA/mnist.npz. `--quick` only tries whether all runs, and writes to benchmarks/runs/part.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import RUNS
from environments import HERE, OURS, TORCHDIFFEQ, InstallError, make_environment, python_of, versions_in
from machine import describe_machine
from odes import run
from page import page
from training_page import GRADCAM, PEER, section

PLACE = RUNS / "training"
INPUTS = PLACE / "inputs"
SCRIPTS = {GRADCAM: (OURS, "train_ours.py"), PEER: (TORCHDIFFEQ, "train_torchdiffeq.py")}
NETWORKS = ("relu", "softplus", "stem")
PLAIN = "stem"
WARM_UP = 5
TOLERANCES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
GRADIENTS = ("adjoint", "discrete")
WEIGHED = "softplus"
"""The activation of the network whose memory is measured."""


def main() -> None:
    """Measure, and write the results, the plot and the page."""
    options = read_options()
    install()
    run(OURS, "train_inputs.py", INPUTS, options.mnist, max(options.steps, options.plain))
    results = {
        "machine": describe_machine(),
        "versions": {
            **{name: versions_in(OURS)[name] for name in ("tensorflow", "keras")},
            **{name: versions_in(TORCHDIFFEQ)[name] for name in ("torch", "torchdiffeq")},
        },
        "setting": {**{name: getattr(options, name) for name in NUMBERS}, "warm_up": WARM_UP, "weighed": WEIGHED},
        "training": training(options),
        "gradients": gradients(),
        "memory": memory(TOLERANCES[::6] if options.quick else TOLERANCES),
    }
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "ode_training.json").write_text(json.dumps(results, indent=1) + "\n")
    subprocess.run([python_of(OURS), HERE / "training_plot.py", options.into], check=True)
    if options.quick:
        (options.into / "ode_training.md").write_text(section(results) + "\n")
    elif (HERE / "results.json").is_file():
        (HERE / "README.md").write_text(page(json.loads((HERE / "results.json").read_text())))


NUMBERS = {  # name: (usual, with --quick, what it is)
    "rounds": (3, 1, "processes for each contender and network"),
    "steps": (50, 10, "that each of them learns"),
    "plain": (20, 10, "the same without the ODE"),
}


def read_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("GRADCAM_TEST_DATA")
    mnist = Path(data) / "mnist.npz" if data else None
    parser.add_argument("--mnist", type=Path, default=mnist, help="Keras's file [$GRADCAM_TEST_DATA/mnist.npz]")
    parser.add_argument("--quick", action="store_true", help="does everything run?")
    for name, (usual, _, what) in NUMBERS.items():
        parser.add_argument(f"--{name}", type=int, help=f"{what} [{usual}]")
    options = parser.parse_args()
    for name, (usual, quick, _) in NUMBERS.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else usual)
    if options.rounds < 1 or min(options.steps, options.plain) <= WARM_UP:
        parser.error(f"expected --rounds from 1, --steps and --plain above {WARM_UP}")
    if not (options.mnist and options.mnist.is_file()):
        parser.error(f"--mnist: expected an .npz file, got {options.mnist}")
    options.into = RUNS / "part" if options.quick else HERE
    return options


def install() -> None:
    """Make both environments.

    Raises:
        SystemExit: one cannot be made.
    """
    for name in (OURS, TORCHDIFFEQ):
        try:
            make_environment(name)
        except InstallError as error:
            raise SystemExit(f"error: the environment {name} cannot be made: {error}") from error


def training(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Let the contenders take turns, each in a fresh process, with all networks, again and again."""
    runs = []
    for number in range(options.rounds):
        for network in NETWORKS:
            steps = options.plain if network == PLAIN else options.steps
            for contender, (environment, script) in SCRIPTS.items():
                start = time.perf_counter()
                words = [network, "--inputs", INPUTS, "--steps", steps, "--warm-up", WARM_UP]
                found = run(environment, script, *words)
                print(f"{contender}, {network}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
                runs.append({"contender": contender, "network": network, "round": number, **found})
    return runs


def gradients() -> list[dict[str, Any]]:
    """Return how wrong the gradients of the first step are."""
    rows = []
    for network in NETWORKS:
        if network == PLAIN:
            continue
        files = []
        for contender, (environment, script) in SCRIPTS.items():
            files.append(PLACE / "gradients" / f"{contender}-{network}.npz")
            run(environment, script, network, "--inputs", INPUTS, "--gradient", files[-1])
        found = run(OURS, "train_judge.py", INPUTS, network, *files)
        rows += [{"contender": c, "network": network, **x} for c, x in zip(SCRIPTS, found, strict=True)]
    return rows


def memory(tolerances: tuple[float, ...]) -> list[dict[str, Any]]:
    """Train at each tolerance in both ways, two processes at a time; return what each took."""
    jobs = [(gradient, tolerance) for tolerance in tolerances for gradient in GRADIENTS]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda job: run(OURS, "train_memory.py", INPUTS, WEIGHED, *job), jobs)
    return [{"gradient": g, "tolerance": tolerance, **x} for (g, tolerance), x in zip(jobs, found, strict=True)]


if __name__ == "__main__":
    main()
