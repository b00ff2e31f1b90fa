"""One photo, from start to end, in turn with a bare import of TensorFlow in the same environment.

    python benchmarks/one_photo.py --python .venv/bin/python --weights vgg19.h5 [--gradcam ../before] [--rounds 5]
        [--torch-cam VENV/bin/python vgg19.pt]

Every round runs `import tensorflow`, and gradcam with VGG19 and with `mini`, of this checkout and of others. It prints
wall-clock and CPU seconds (user and system, with those of child processes) and peak memory: the minimum of all rounds,
and the median over the rounds of the ratio to the bare import. torch-cam maps its weights into memory, from a file of
`runners/torch_vgg19.py`. On a machine that does other work, compare CPU seconds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from hardware import commit_of, describe_hardware
from venvs import ROOT

BARE = "import tensorflow"
RUNNERS = ROOT / "benchmarks" / "runners"
PHOTO = ROOT / "sample_images" / "chelsea.png"

Sample = tuple[float, float, float]
"""Wall-clock seconds, CPU seconds, and peak memory in MB of a process."""


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="interpreter of the runs [this one]")
    parser.add_argument("--weights", type=Path, default=os.environ.get("GRADCAM_WEIGHTS"), help="[$GRADCAM_WEIGHTS]")
    parser.add_argument("--model", type=Path, help="a .keras file to measure, too")
    parser.add_argument("--photo", type=Path, default=PHOTO, help="[sample_images/chelsea.png]")
    parser.add_argument("--gradcam", type=Path, action="append", default=[], help="another checkout; repeatable")
    parser.add_argument("--torch-cam", nargs=2, metavar=("PYTHON", "FILE"), help="measure torch-cam, too")
    parser.add_argument("--rounds", type=int, default=5, help="[5]")
    options = parser.parse_args()
    hardware, python = describe_hardware(), str(options.python.absolute())
    networks = {"mini": ["--model", "mini"]}
    if options.weights:
        networks["VGG19"] = ["--weights", str(options.weights.resolve())]
    if options.model:
        networks[options.model.name] = ["--model", str(options.model.resolve())]
    commands = {BARE: ([python, "-c", BARE], ROOT)}
    for checkout in (ROOT, *(path.resolve() for path in options.gradcam)):
        for network, words in networks.items():
            command = [python, "-P", "-m", "gradcam_cli", str(options.photo.resolve()), *words, "--save", "overlay"]
            commands[f"{network}, {commit_of(checkout)}"] = (command, checkout)
    if options.torch_cam:
        peer, weights = (str(Path(word).absolute()) for word in options.torch_cam)
        words = [f"--weights={weights}", f"--images={options.photo.resolve()}", "--out=."]
        commands["VGG19, torch-cam"] = ([peer, str(RUNNERS / "run_torch_cam.py"), *words], RUNNERS)
    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, (command, checkout) in commands.items():
            samples[name].append(run(command, checkout))
    print(f"{hardware}; {options.rounds} rounds\n\n{table(samples)}")


def run(command: list[str], checkout: Path) -> Sample:
    """Run a command to its end, in an empty directory.

    Raises:
        RuntimeError: the command failed.
    """
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with tempfile.TemporaryDirectory() as directory, tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read().decode(errors="replace"))
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def table(samples: dict[str, list[Sample]]) -> str:
    """Return a Markdown table of minima, and of the medians of the ratios to the bare import of the same round."""
    lines = ["| process | wall s | CPU s | MB | wall ratio | CPU ratio |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for name, runs in samples.items():
        wall, cpu = (min(values) for values in list(zip(*runs, strict=True))[:2])
        memory = max(sample[2] for sample in runs)
        pairs = list(zip(runs, samples[BARE], strict=True))
        ratios = [median(sample[i] / bare[i] for sample, bare in pairs) for i in (0, 1)]
        lines.append(f"| {name} | {wall:.2f} | {cpu:.2f} | {memory:,.0f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
