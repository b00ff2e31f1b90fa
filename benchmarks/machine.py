"""What the times depend on: the processor, the versions, the photos."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path
from typing import Any

from environments import OURS, PLACE, ROOT, python_of, versions_in

MEGAPIXELS = """
import statistics, sys
from pathlib import Path
from PIL import Image
print(statistics.mean(Image.open(path).width * Image.open(path).height for path in Path(sys.argv[1]).iterdir()) / 1e6)
"""


def describe(photos: Path) -> dict[str, Any]:
    """Return what belongs to a result with photos."""
    megapixels = subprocess.run([python_of(OURS), "-c", MEGAPIXELS, photos], capture_output=True, text=True, check=True)
    return {**describe_machine(), "megapixels": round(float(megapixels.stdout), 2), "versions": versions()}


def describe_machine() -> dict[str, Any]:
    """Return when, of which commit and where."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        "processor": cpuinfo("model name") or platform.processor(),
        "instructions": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in cpuinfo("flags")],
        "cores": len(os.sched_getaffinity(0)),
    }


def cpuinfo(key: str) -> str:
    """Return a line of /proc/cpuinfo, without its name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith(key)), "")


def commit() -> str:
    """Return the commit that is measured, if git knows."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return git.stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of what all tools stand on."""
    places = {"tensorflow": OURS, "keras": OURS, "torch": "torch", "numpy": OURS, "pillow": OURS}
    found = {name: versions_in(place).get(name) for name, place in places.items() if (PLACE / place).exists()}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}
