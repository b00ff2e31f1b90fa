"""The runner of benchmarks/ lists its rows, and its table computes ratios within each repeat."""

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(*words):
    """Run Python in benchmarks/ and return its output."""
    done = subprocess.run([sys.executable, *words], cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_rows_are_listed_without_installing():
    """`--list` prints the rows of the requested suites, tools and cases."""
    rows = run("bench.py", "images", "odes", "--tools", "gradcam,diffrax", "--cases", "npz,ode-forward", "--list")
    names = ("images-npz-float32-gradcam", "images-npz-bfloat16-gradcam")
    assert rows.split() == [*names, "odes-ode-forward-float32-gradcam", "odes-ode-forward-float32-diffrax"]


def test_every_runner_exists():
    """Each tool names a script of runners/."""
    scripts = run("-c", "from tools import TOOLS\nfor tool in TOOLS: print(*tool.runners.values())").split()
    assert "run_captum.py" in scripts
    assert all((BENCHMARKS / "runners" / script).is_file() for script in scripts)


def test_ratio_is_the_median_of_the_ratios_within_repeats():
    """Times of 10, 20 and 40 ms, and 20, 20 and 120 ms: the ratios are 2, 1 and 3, their median 2."""
    program = """
from table import tables
def row(tool, repeat, ms): return dict(suite="images", case="npz", precision="float32", tool=tool, version="1",
                                       repeat=repeat, ms=ms, memory_mb=5, extras={})
runs = [row("gradcam", i, ms) for i, ms in enumerate((10, 20, 40))]
print(tables(runs + [row("slow", i, ms) for i, ms in enumerate((20, 20, 120))]))
"""
    lines = run("-c", program).splitlines()
    assert lines[-2] == "| npz | float32 | gradcam | 1 | 20 | 10-40 | 1.000 | 5 MB |"
    assert lines[-1] == "| npz | float32 | slow | 1 | 20 | 20-120 | 2.000 | 5 MB |"
