"""gradcam, as a command whose output lines are timed.

The package comes from the first folder of PYTHONPATH, so that any checkout can be measured. The command draws images
while it computes the next ones: its first lines come late and its last ones early, and the first also wait for the
checksum of the weights. Therefore the pace between the first quarter of the batches and the last two counts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import LAYER, Setting, agreement, read_setting, report


def command(setting: Setting) -> list[str]:
    """Return the command line, with options that older checkouts have, too."""
    return [
        *(sys.executable, "-P", "-m", "gradcam_cli", str(setting.images)),
        *("--model", "vgg19", "--weights", str(setting.weights), "--layer", LAYER, "--method", setting.method),
        *("--save", setting.case, "--output", str(setting.out), "--json"),
        *("--batch-size", str(setting.batch_size), "--precision", setting.precision),
    ]


def ms_per_image(setting: Setting) -> float:
    """Run the command; return the milliseconds between two lines.

    Raises:
        RuntimeError: the package is of another checkout, or an image was not explained in the requested precision.
    """
    package = importlib.util.find_spec("gradcam_cli")
    if not (package and package.origin and Path(package.origin).is_relative_to(os.environ["PYTHONPATH"])):
        raise RuntimeError(f"expected gradcam of {os.environ['PYTHONPATH']}, got {package}")
    times, lines = [], []
    with subprocess.Popen(command(setting), stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            times.append(time.perf_counter())
            lines.append(json.loads(line))
    explained = sum(line["status"] == "ok" and line["precision"] == setting.precision for line in lines)
    if process.returncode or explained != len(setting.paths()):
        raise RuntimeError(f"gradcam exited with {process.returncode} after {explained} maps in {setting.precision}")
    batches = len(times) // setting.batch_size
    first, last = batches // 4, batches - min(2, batches // 4)  # both from 1
    start, end = (times[batch * setting.batch_size - 1] for batch in (first, last))
    return 1000 * (end - start) / ((last - first) * setting.batch_size)


if __name__ == "__main__":
    setting = read_setting()
    report(ms_per_image(setting), agreement(setting))
