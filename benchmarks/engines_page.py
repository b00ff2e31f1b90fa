"""The sections of the page on the engines and on the long run."""

from __future__ import annotations

import json
from pathlib import Path

HERE = Path(__file__).parent


def engines() -> str:
    """Return the sections on what engines.py and soak.py measured, as far as they were run."""
    return "\n\n".join(part for part in (_costs(), _soak()) if part)


def _costs() -> str:
    path = HERE / "engines.json"
    if not path.is_file():
        return ""
    lines = [
        "| engine | inputs | ms an image | the driver's CPU, ms an image | the driver's memory |",
        "| --- " + "| ---: " * 4 + "|",
    ]
    for row in json.loads(path.read_text()):
        cells = [
            f"{row['inputs']:,}",
            f"{row['ms_an_image']:.2f}",
            f"{row['driver_cpu_ms']:.2f}",
            f"{row['driver_mb']} MB",
        ]
        lines.append(f"| {row['engine']} | {' | '.join(cells)} |")
    return (
        "## What an engine costs\n\n"
        "`python benchmarks/engines.py`: black photos and a network of one layer in batches of 64, so that\n"
        "nearly all is the engine. On two cores, which other work shared; Ray's processes are all on them.\n\n"
        + "\n".join(lines)
    )


def _soak() -> str:
    path = HERE / "soak.json"
    if not path.is_file():
        return ""
    found = json.loads(path.read_text())
    memory, files, threads = (found[key] for key in ("memory_mb", "files", "threads"))
    return (
        "## A long run\n\n"
        f"`python benchmarks/soak.py`: {found['images']:,} photos in one run, an overlay and arrays of each. Memory\n"
        f"after the first thousand {memory[0]} MB, after the last but one {memory[-1]} MB; open files {min(files)} to\n"
        f"{max(files)}, threads {min(threads)} to {max(threads)}; the last thousand took "
        f"{found['last_thousand_over_first']} times as long as the second."
    )
