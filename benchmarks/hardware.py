"""What the times depend on: date, processor and cores; and the commit of a checkout."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def describe_hardware() -> str:
    """Return one line: date, processor, cores, the instructions that matter, and the load before the run."""
    flags = cpuinfo("flags").split()
    instructions = ", ".join(name for name in INSTRUCTIONS if name in flags)
    return (
        f"{time.strftime('%Y-%m-%d')}, {cpuinfo('model name') or platform.processor()}, "
        f"{len(os.sched_getaffinity(0))} cores ({instructions}), load {os.getloadavg()[0]:.1f} before the run"
    )


def cpuinfo(key: str) -> str:
    """Return the value of a key of /proc/cpuinfo, or an empty string."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith(key)), "")


def commit_of(checkout: Path) -> str:
    """Return the short commit of a checkout, with "-dirty" if it has changes; without git its directory's name."""
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=checkout, capture_output=True, text=True)
    return git.stdout.strip() or checkout.name
