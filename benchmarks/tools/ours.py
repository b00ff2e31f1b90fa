"""gradcam itself: the command, its lines timed as they come.

The command draws some photos while it computes the next ones, so that its first lines come late and
its last ones early; the first ones also wait for the checksum of the weights, which they name. What
is measured is the even pace between the first quarter of the photos and the last two batches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from harness import LAYER, Setting, read_setting, report


def run(setting: Setting) -> tuple[list[float], float]:
    """Run the command; return the time of each photo's line and how long it took.

    Raises:
        RuntimeError: not every photo was explained in the precision asked for.
    """
    start = time.perf_counter()
    times, lines = [], []
    with subprocess.Popen(command(setting, setting.photos), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            times.append(time.perf_counter())
            lines.append(json.loads(line))
    seconds = time.perf_counter() - start
    good = sum(line["status"] == "ok" and line["precision"] == setting.precision for line in lines)
    if process.returncode or good != len(setting.photos):
        raise RuntimeError(f"gradcam ended with {process.returncode}: {good} maps as asked for")
    return times, seconds


def command(setting: Setting, photos: Sequence[Path]) -> list[str]:
    """Return the words of the command line."""
    return [
        str(Path(sys.executable).with_name("gradcam")),
        *map(str, photos),
        *("--model", "vgg19", "--weights", str(setting.weights), "--layer", LAYER),
        *("--save", setting.kind, "--output", str(setting.out), "--json"),
        *("--batch-size", str(setting.batch_size), "--precision", setting.precision),
    ]


if __name__ == "__main__":
    setting = read_setting()
    times, seconds = run(setting)
    first, last = len(times) // 4 - 1, len(times) - min(2 * setting.batch_size, len(times) // 4) - 1
    report("gradcam", setting, times[last] - times[first], images=last - first, process_seconds=seconds)
