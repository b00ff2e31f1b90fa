"""What an engine costs an image beyond the model's time, and whether its memory grows with the number of inputs.

Usage:
    python benchmarks/engines.py [--inputs 1000 --inputs 10000 --inputs 100000] [--engine ray --engine local]

Each line is a process of its own: black photos and a network of one layer, so that nearly all that is measured is the
engine. Written: engines.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BATCH = 64


def main() -> None:
    """Measure each engine with each number of inputs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, action="append")
    parser.add_argument("--engine", action="append", choices=["local", "ray"])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        engine, count, model = asked.one
        print(json.dumps(measure(engine, int(count), model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        model = f"{folder}/stub.keras"
        subprocess.run(
            [sys.executable, "-c", f"import engine_stub; engine_stub.save_network({model!r})"], cwd=HERE, check=True
        )
        found = []
        for engine in asked.engine or ["local", "ray"]:
            for count in asked.inputs or [1_000, 10_000, 100_000]:
                words = [sys.executable, __file__, "--one", engine, str(count), model]
                paths = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
                around = {**os.environ, "PYTHONPATH": paths}  # Ray's workers import the stub, too
                done = subprocess.run(words, cwd=HERE, capture_output=True, text=True, check=True, env=around)
                found.append(json.loads(done.stdout.splitlines()[-1]))
                print(found[-1], flush=True)
    (HERE / "engines.json").write_text(json.dumps(found, indent=1) + "\n")


def measure(engine: str, count: int, model: str) -> dict[str, Any]:
    """Run one engine; return seconds to the first result, milliseconds an image after it, the driver's memory."""
    import resource

    import psutil
    from engine_stub import Stub, jobs

    work = Stub(model, BATCH)
    began = time.perf_counter()
    if engine == "ray":
        from gradcam_cli.engines.ray_cluster import Cluster
        from gradcam_cli.engines.ray_engine import run_on_ray

        finished = run_on_ray(jobs(count), work, Cluster(batch_size=BATCH))
    else:
        from gradcam_cli.engines.local import run_here

        finished = run_here(jobs(count), work)
    next(finished)
    first, busy = time.perf_counter(), time.process_time()
    good, memory, process = 1, {}, psutil.Process()
    for number, one in enumerate(finished, 2):
        good += one.status == "ok"
        if number % max(count // 5, 1) == 0:
            memory[number] = round(process.memory_info().rss / 2**20)
    last = time.perf_counter()
    return {
        "engine": engine,
        "inputs": count,
        "done": good,
        "start_s": round(first - began, 2),
        "ms_an_image": round(1000 * (last - first) / max(count - BATCH, 1), 3),
        "driver_cpu_ms": round(1000 * (time.process_time() - busy) / max(count - BATCH, 1), 3),
        "driver_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "driver_mb_at": memory,
    }


if __name__ == "__main__":
    main()
