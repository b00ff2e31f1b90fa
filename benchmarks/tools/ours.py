"""gradcam itself: the command, run on all photos and on the first batch alone.

The command draws some photos while it computes the next ones, so that its first lines come late and
its last ones early. What the photos after the first batch cost is the difference of two whole runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from harness import LAYER, Setting, read_setting, report


class Run(NamedTuple):
    """Seconds from a command's start to the line that tells of its last photo's file, and to its end."""

    last_line: float
    end: float


def run(setting: Setting, photos: Sequence[Path]) -> Run:
    """Run the command and make sure that every photo was explained in the precision asked for."""
    start = last = time.perf_counter()
    lines = []
    with subprocess.Popen(command(setting, photos), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            last = time.perf_counter()
            lines.append(json.loads(line))
    end = time.perf_counter()
    good = sum(line["status"] == "ok" and line["precision"] == setting.precision for line in lines)
    if process.returncode or good != len(photos):
        raise RuntimeError(f"gradcam ended with {process.returncode}: {good} of {len(photos)} maps as asked for")
    return Run(last - start, end - start)


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
    whole = run(setting, setting.photos)
    first_batch = run(setting, setting.photos[: setting.batch_size])
    report("gradcam", setting, whole.last_line - first_batch.last_line, process_seconds=whole.end)
