"""Run the methods that ask the network once a channel beside pytorch-grad-cam's, on one photo.

`python benchmarks/methods.py --weights FILE --photos DIR` writes methods.json beside this file, from which
bench.py takes a section of its page.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from statistics import median

from bench import RUNS, copy_photos, quiet, read_options
from contenders import LAYER
from environments import HERE, OURS, PLACE, make_environment, python_of
from machine import describe

REPEATS = 3
PHOTOS = {"ablationcam": 32, "scorecam": 1}
"""Two batches, so that the second finds everything compiled; where a photo takes a minute, that is of no account."""


def ours(method: str, precision: str) -> float:
    """Return the seconds that gradcam says a photo took, in the last batch."""
    photos = sorted((RUNS / "photos").iterdir())[: PHOTOS[method]]
    line = [PLACE / OURS / "bin" / "gradcam", *photos, "--weights", OPTIONS.weights, "--layer", LAYER, "--json"]
    line += ["--method", method, "--precision", precision, "--save", "npz", "--output", RUNS / "out" / "methods"]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, env=quiet())
    return float(json.loads(done.stdout.splitlines()[-1])["seconds"]["network"])


def theirs(method: str) -> float:
    """Return the seconds of pytorch-grad-cam for a photo."""
    photo = min((RUNS / "photos").iterdir())
    line = [python_of("torch"), HERE / "tools" / "peer_methods.py", OPTIONS.weights, method, photo]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, env=quiet())
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measure in turn, several times, and write the medians."""
    make_environment(OURS)
    make_environment("torch")
    copy_photos(OPTIONS.photos, 16)
    jobs = {
        f"{tool}, {method}, {precision}": (tool, method, precision)
        for method in ("ablationcam", "scorecam")
        for tool, precision in (("gradcam", "float32"), ("gradcam", "auto"), ("pytorch-grad-cam", "float32"))
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(REPEATS):
        for name, (tool, method, precision) in jobs.items():
            start = time.perf_counter()
            seconds[name].append(ours(method, precision) if tool == "gradcam" else theirs(method))
            print(f"{name}: {seconds[name][-1]:.2f} s ({time.perf_counter() - start:.0f} s)", file=sys.stderr)
    rows = [
        {"tool": tool, "method": method, "precision": precision, "seconds": median(seconds[name])}
        for name, (tool, method, precision) in jobs.items()
    ]
    (HERE / "methods.json").write_text(
        json.dumps({"machine": describe(RUNS / "photos"), "repeats": REPEATS, "rows": rows}, indent=1) + "\n"
    )


if __name__ == "__main__":
    OPTIONS = read_options()
    main()
