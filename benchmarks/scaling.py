"""How gradcam's cost grows: with the number of photos, with the depth of the layer, and not in memory.

`python benchmarks/scaling.py --weights FILE --photos DIR` writes scaling.json and scaling.png beside this file;
bench.py puts them on its page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench import RUNS, copy_photos, quiet, read_options
from environments import HERE, OURS, PLACE, make_environment, python_of
from machine import describe

COUNTS = (8, 40, 72, 104, 136)
FEW, MANY = 200, 2000
SOME = 40
LAYERS = {  # multiply-adds of VGG19 at 224x224 behind each layer, in thousand millions
    "block5_conv4": 0.12,
    "block5_conv2": 1.05,
    "block4_conv4": 1.97,
    "block4_conv2": 5.67,
    "block3_conv4": 8.45,
    "block3_conv2": 12.15,
    "block2_conv2": 14.92,
    "block1_conv2": 17.7,
}


def run(
    weights: Path, photos: list[Path], layer: str = "block5_conv4", precision: str = "float32"
) -> tuple[float, int]:
    """Make overlays; return the seconds and the megabytes of the whole process."""
    out = RUNS / "out" / "scaling"
    paths = RUNS / "list.txt"
    paths.write_text("\n".join(map(str, photos)))
    line = [PLACE / OURS / "bin" / "gradcam", "--files-from", paths, "--weights", weights, "--layer", layer]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*line, "--save", "overlay", "--precision", precision, "--output", f"{out}/"],
        stdout=subprocess.DEVNULL,
        env=quiet(),
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: gradcam ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, round(usage.ru_maxrss / 1024)


def main() -> None:
    """Measure, write, and draw."""
    options = read_options()
    make_environment(OURS)
    copy_photos(options.photos, MANY)
    photos = sorted((RUNS / "photos").iterdir())
    options.weights.read_bytes()  # into the page cache
    memory = {count: run(options.weights, photos[:count], precision="auto")[1] for count in (FEW, MANY)}
    counts = {count: run(options.weights, photos[:count])[0] for count in COUNTS}
    depths = {layer: run(options.weights, photos[:SOME], layer)[0] for layer in LAYERS}
    results = {
        "machine": describe(RUNS / "photos"),
        "seconds_of_counts": counts,
        "seconds_of_layers": [[layer, LAYERS[layer], seconds] for layer, seconds in depths.items()],
        "photos_of_layers": SOME,
        "megabytes": memory,
    }
    (HERE / "scaling.json").write_text(json.dumps(results, indent=1) + "\n")
    subprocess.run([python_of(OURS), __file__, "--draw"], check=True)


def draw() -> None:
    """Draw both lines from scaling.json."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    results = json.loads((HERE / "scaling.json").read_text())
    by_count = [(int(count), seconds) for count, seconds in results["seconds_of_counts"].items()]
    by_depth = [(cost, seconds) for _, cost, seconds in results["seconds_of_layers"]]
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    labels = ("photos", "thousand million multiply-adds behind the layer")
    for panel, points, label in zip(axes, (by_count, by_depth), labels, strict=True):
        x, y = np.array(points).T
        slope, start = np.polyfit(x, y, 1)
        panel.plot(x, y, "o", color="tab:orange")
        panel.plot(x, start + slope * x, color="0.3", linewidth=1, label=f"{start:.1f} s + {slope:.3f} s each")
        panel.set(xlabel=label, ylabel="seconds of the whole process", ylim=(0, None))
        panel.legend()
    axes[0].set_title("overlays, float32, block5_conv4")
    axes[1].set_title(f"{results['photos_of_layers']} photos at layers of growing distance to the end")
    for (name, _, _), (cost, seconds) in zip(results["seconds_of_layers"], by_depth, strict=True):
        axes[1].annotate(
            name, (cost, seconds), (3, -8), textcoords="offset points", fontsize=7, rotation=70, ha="right", va="top"
        )
    figure.savefig(HERE / "scaling.png", dpi=130)


if __name__ == "__main__":
    draw() if sys.argv[1:] == ["--draw"] else main()
