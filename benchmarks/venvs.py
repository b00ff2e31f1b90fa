"""The virtual environments of the tools, created with pip in benchmarks/.venvs."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CONSTRAINTS = ("--constraint", str(ROOT / "constraints.txt"))
VENVS: dict[str, list[list[str]]] = {
    "gradcam": [[str(ROOT), *CONSTRAINTS]],
    "torch": [
        ["torch==2.13.0", "torchcam==0.5.0", "captum==0.9.0", "h5py", *CONSTRAINTS],
        # grad-cam requires torchvision, published for CUDA only; Grad-CAM itself does not use it
        ["ttach", "opencv-python-headless", "scikit-learn", "scipy", "tqdm", *CONSTRAINTS],
        ["--no-deps", "grad-cam==1.5.7"],
    ],
    "tf-keras-vis": [["tensorflow", "tf-keras-vis==0.8.7", "matplotlib", *CONSTRAINTS]],
    "tf-explain": [["tensorflow", "tf-explain==0.3.1", "opencv-python-headless", "matplotlib", *CONSTRAINTS]],
    "xplique": [
        # its requirements, with the processor's TensorFlow and the headless OpenCV
        ["tensorflow==2.20.0", "tensorflow-probability[tf]==0.25.0", "scipy<=1.15.3", "scikit-image<=0.25.2"],
        ["scikit-learn<=1.7.2", "scipy<=1.15.3", "einops", "deprecated", "opencv-python-headless", "matplotlib"],
        ["--no-deps", "xplique==2.0.2"],
    ],
    "torchdiffeq": [["torch==2.13.0", "torchdiffeq==0.2.5", *CONSTRAINTS]],
    "diffrax": [["diffrax==0.7.2", "equinox==0.13.8", "jax==0.10.2", "jaxlib==0.10.2", *CONSTRAINTS]],
}
"""For each environment the arguments of its calls of `pip install`."""


class InstallError(Exception):
    """An environment cannot be created; the message is the reason."""


def make_venv(name: str) -> Path:
    """Create an environment unless it is up to date; return its interpreter.

    gradcam's own environment provides the dependencies only: the package is imported from a checkout.

    Raises:
        InstallError: pip failed.
    """
    directory = HERE / ".venvs" / name
    python, stamp = directory / "bin" / "python", directory / "recipe.sha256"
    recipe = json.dumps(VENVS[name]).encode() + (ROOT / "constraints.txt").read_bytes()
    if name == "gradcam":
        recipe += (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(recipe).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest:
        return python
    print(f"installing {directory}", file=sys.stderr)
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    for arguments in VENVS[name]:
        install = [python, "-m", "pip", "install", "--quiet", *arguments]
        pip = subprocess.run(install, capture_output=True, text=True)
        if pip.returncode:
            raise InstallError(first_error(pip.stderr))
    stamp.write_text(digest)
    return python


def versions_in(python: Path) -> dict[str, str]:
    """Return the version of each package that an interpreter can import."""
    pip = [python, "-m", "pip", "list", "--format", "json"]
    rows = json.loads(subprocess.run(pip, capture_output=True, text=True, check=True).stdout)
    return {row["name"].lower(): row["version"] for row in rows}


def first_error(stderr: str) -> str:
    """Return the first line that names an error, else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"error: |ERROR: |[\w.]*(Error|Exception)(:|$)", line)]
    return (errors or lines[-1:] or ["no error message"])[0]
