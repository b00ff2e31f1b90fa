"""A long run: do memory, open files and threads stay as they are, and do the last images come as quickly as the first?

Usage:
    python benchmarks/soak.py [--images 20000] [--keep]

The built-in network explains photos of 32x32 pixels, each under a name of its own, in one run of the command, with maps
and arrays written. The figures are printed, and with --keep written to soak.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

HERE = Path(__file__).parent
EVERY = 1_000


def main() -> None:
    """Make the photos, run, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    count = options.images
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder) / "photos", count)
        samples = run(Path(folder), count)
        written = sum(1 for _ in (Path(folder) / "maps").rglob("*.npz"))
    first, last = samples[1], samples[-1]
    found = {
        "images": count,
        "written": written,
        "memory_mb": [sample["mb"] for sample in samples],
        "files": [sample["files"] for sample in samples],
        "threads": [sample["threads"] for sample in samples],
        "last_thousand_over_first": round(last["seconds"] / first["seconds"], 2),
    }
    if options.keep:
        (HERE / "soak.json").write_text(json.dumps(found) + "\n")
    print(json.dumps(found, indent=1))


def make_photos(folder: Path, count: int) -> None:
    """Write small photos, a hundred in a folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"{number // 100:04}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(place / f"{number:06}.bmp")


def run(here: Path, count: int) -> list[dict[str, Any]]:
    """Run the command; return what it held, and the seconds that it took, after each thousand lines."""
    words = [sys.executable, "-m", "gradcam_cli", "photos", "--model", "mini", "-o", "maps"]
    words += ["--save", "npz", "--save", "overlay", "--json", "--batch-size", "32"]
    command = subprocess.Popen(words, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process, samples, since = psutil.Process(command.pid), [], time.perf_counter()
    assert command.stdout
    for number, _ in enumerate(command.stdout, 1):
        if number % EVERY == 0 and number < count:
            now = time.perf_counter()
            held = {"mb": round(process.memory_info().rss / 2**20), "files": process.num_fds()}
            samples.append({**held, "threads": process.num_threads(), "seconds": now - since})
            since = now
    if command.wait():
        raise SystemExit(f"the command ended with {command.returncode}")
    return samples


if __name__ == "__main__":
    main()
