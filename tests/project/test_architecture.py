"""The house rules that a program can check: floors, lazy imports, click's place."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "gradcam_cli"

# From the ground up: a module imports from floors below its own, or beside it, never from above.
FLOORS = [
    {
        "errors",
        "messages",
        "files",
        "applications",
        "views",
        "png",
        "ordered",
        "interrupts",
        "metrics",
        "junit",
        "digits",
        "places",
        "remote",
        "taken",
        "unfolded",
    },
    {
        "cam",
        "maps",
        "images",
        "inputs",
        "labels",
        "preprocessing",
        "weights",
        "outputs",
        "precision",
        "forms",
        "claims",
        "regions",
    },
    {"layers", "head", "render", "mini", "attribution", "methods", "annotations", "plots"},
    {
        f"neuralode.{name}"
        for name in "__init__ trees tableaus arguments batch failures control field steps integrate".split()
    },
    {f"neuralode.{name}" for name in "forward adjoint discrete solve layer fields classifier".split()},
    {"network", "results", "storage", "batches", "drift", "annotated_classes"},
    {"models", "photos", "probe", "records"},
    {"runs"},
    {"pipeline"},
    {
        "api",
        "evaluation",
        "sanity",
        "again",
        *(
            f"neuralode.{name}"
            for name in "check spiral flow portrait data scoring training robustness depth strip".split()
        ),
    },
    {"report", "engines"},
    {"commands"},
    {"__init__", "__main__"},
]
FLOOR = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


SPLIT = {"neuralode"}
"""Folders whose files stand on floors of their own; any other folder counts as one module."""


def name_of(path):
    return name_in(path.relative_to(PACKAGE).with_suffix("").parts)


def name_in(parts):
    return ".".join(parts[:2]) if parts[0] in SPLIT else parts[0]


def imported(path):
    """Yield the package's own modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gradcam_cli":
            parts = node.module.split(".")[1:]
            folder = not parts or (len(parts) == 1 and parts[0] in SPLIT)
            yield from [name_in([*parts, alias.name]) for alias in node.names] if folder else [name_in(parts)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    name = name_of(path)
    above = {other for other in imported(path) if FLOOR[other] > FLOOR[name]}
    assert not above, f"{name} imports from above: {above}"


def test_no_loops():
    """No module imports, however far round, itself."""
    graph = {}
    for path in modules():
        graph.setdefault(name_of(path), set()).update(imported(path))
    for name in graph:
        graph[name].discard(name)  # the files of a folder import each other

    def visit(name, seen):
        assert name not in seen, f"loop: {seen} {name}"
        for other in graph[name]:
            visit(other, [*seen, name])

    for name in graph:
        if name != "__init__":
            visit(name, [])


def test_the_page_shows_these_floors():
    """The table of docs/architecture.md is FLOORS."""
    text = (PACKAGE.parent / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| (\d+) \|[^|]+\|([^|]+)\|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(FLOORS)))
    for floor, (_, cells) in zip(FLOORS, rows, strict=True):
        assert set(re.findall(r"`([\w.]+)`", cells)) == floor


def test_click_stays_in_the_commands():
    for path in modules():
        if name_of(path) != "commands":
            assert "import click" not in path.read_text(), path


@pytest.mark.parametrize(
    "code",
    [
        "from gradcam_cli.cli import gradcam; gradcam.main(['--help'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['--version'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['models'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['x.jpg', '--fit', 'wrong'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['x.jpg', '--class', 'no such class'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['missing.jpg'])",
        "from gradcam_cli.cli import gradcam; gradcam.main(['x.jpg', '--cmap', 'no such map'])",
        "import gradcam_cli",
        "import gradcam_cli.cam, gradcam_cli.methods.maps, gradcam_cli.output.figures, gradcam_cli.results",
    ],
)
def test_no_tensorflow_where_no_network_runs(code):
    """Help, listing, usage errors and unreadable inputs do not pay for TensorFlow, nor for pyplot."""
    script = f"""
import sys
try:
    {code}
except SystemExit:
    pass
loaded = {{"tensorflow", "keras", "matplotlib.pyplot"}} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_numpy_leaves_the_cores_to_the_network():
    """NumPy starts no threads of its own: when it is imported, the command has told it so."""
    script = """
import os, sys
import gradcam_cli.__main__
assert "numpy" not in sys.modules
sys.argv = ["gradcam", "--version"]
try:
    gradcam_cli.__main__.main()
except SystemExit:
    pass
import numpy
numpy.ones((999, 999)) @ numpy.ones((999, 999))
if os.path.exists("/proc/self/task"):
    assert len(os.listdir("/proc/self/task")) == 1
assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_arrays_need_no_matplotlib():
    """What a run of --save npz imports before TensorFlow, which itself brings matplotlib, rich and more."""
    script = """
import sys
import gradcam_cli.cli.explain_job
assert not {"matplotlib", "rich", "tensorflow"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def test_help_imports_little():
    """What makes `--help` quick: neither scipy nor matplotlib nor rich is imported for it."""
    script = """
import sys
from gradcam_cli.commands import gradcam
try:
    gradcam.main(["--help"])
except SystemExit:
    pass
assert not {"scipy", "matplotlib", "rich", "h5py", "fsspec", "upath"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
