"""Lazy imports; the layers of imports are import-linter's contract in pyproject.toml."""

import subprocess
import sys

import pytest


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
        "import gradcam_cli.methods.cam, gradcam_cli.methods.maps",
        "import gradcam_cli.output.figures, gradcam_cli.pipeline.results",
    ],
)
def test_commands_without_a_network_do_not_import_tensorflow(code):
    """Help, listing, usage errors and unreadable inputs import neither TensorFlow nor pyplot."""
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


def test_numpy_starts_no_threads():
    """The command sets OPENBLAS_NUM_THREADS before it imports NumPy; TensorFlow uses the cores."""
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


def test_saving_arrays_does_not_import_matplotlib():
    """The modules of a run with --save npz import neither matplotlib, rich nor TensorFlow."""
    script = """
import sys
import gradcam_cli.engines.explain_job
assert not {"matplotlib", "rich", "tensorflow"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def test_help_imports_no_large_package():
    """`--help` is fast because scipy, matplotlib, rich, h5py, fsspec and upath are not imported."""
    script = """
import sys
from gradcam_cli.cli import gradcam
try:
    gradcam.main(["--help"])
except SystemExit:
    pass
assert not {"scipy", "matplotlib", "rich", "h5py", "fsspec", "upath"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0
