"""A long run of the command on small images: memory, open files, threads and pace must stay constant.

`python benchmarks/soak.py [--images 20000]` prints the figures of each thousand images, and exits with 1 if the last
thousand needs clearly more than the second. The built-in network makes an overlay and arrays of each image.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

EVERY = 1_000
LIMITS = {"memory_mb": 1.1, "files": 1.5, "threads": 1.2, "seconds": 1.5}
"""How much larger each figure of the last thousand may be than that of the second."""

Sample = dict[str, float]


def main() -> None:
    """Write the images, run the command, print the figures and check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000, help="at least 4000, to have samples to compare [20000]")
    count = parser.parse_args().images
    if count < 4 * EVERY:
        parser.error(f"--images: expected at least {4 * EVERY}, got {count}")
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "images", count)
        samples = run(Path(folder), count)
        written = sum(1 for _ in (Path(folder) / "maps").rglob("*.npz"))
    print(json.dumps({"images": count, "written": written, "samples": samples}))
    growth = {name: samples[-1][name] / samples[1][name] for name in LIMITS}
    print(", ".join(f"{name} x {ratio:.2f}" for name, ratio in growth.items()))
    sys.exit(written != count or any(growth[name] > limit for name, limit in LIMITS.items()))


def write_images(folder: Path, count: int) -> None:
    """Write images of 32x32 pixels, a hundred in a folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 100:04}" / f"{number:06}.bmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(path)


def run(folder: Path, count: int) -> list[Sample]:
    """Run the command; return a sample of its process after each thousand output lines but the last."""
    command = [sys.executable, "-m", "gradcam_cli", "images", "--model", "mini", "-o", "maps"]
    command += ["--save", "npz", "--save", "overlay", "--json", "--batch-size", "32"]
    child = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process, samples, start = psutil.Process(child.pid), [], time.perf_counter()
    for number, _ in enumerate(child.stdout or (), 1):
        if number % EVERY == 0 and number < count:
            now, memory = time.perf_counter(), round(process.memory_info().rss / 2**20)
            handles = {"files": process.num_fds(), "threads": process.num_threads()}
            samples.append({"memory_mb": memory, **handles, "seconds": round(now - start, 2)})
            start = now
    if child.wait():
        raise SystemExit(f"error: the command exited with {child.returncode}")
    return samples


if __name__ == "__main__":
    main()
