"""The virtual environments in which the tools run, made with pip and kept in .envs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PLACE = HERE / ".envs"
CONSTRAINTS = ("--constraint", str(ROOT / "constraints.txt"))

OURS = "ours"
TORCHDIFFEQ = "torchdiffeq"
DIFFRAX = "diffrax"
ENVIRONMENTS: dict[str, list[list[str]]] = {
    OURS: [[str(ROOT), *CONSTRAINTS]],
    "torch": [
        ["torch==2.13.0", "torchcam==0.5.0", "captum==0.9.0", "h5py", *CONSTRAINTS],
        # grad-cam asks for torchvision, which comes for CUDA only and of which Grad-CAM needs nothing
        ["ttach", "opencv-python-headless", "scikit-learn", "scipy", "tqdm", *CONSTRAINTS],
        ["--no-deps", "grad-cam==1.5.7"],
    ],
    "tf-keras-vis": [["tensorflow", "tf-keras-vis==0.8.7", "matplotlib", *CONSTRAINTS]],
    "tf-explain": [["tensorflow", "tf-explain==0.3.1", "opencv-python-headless", "matplotlib", *CONSTRAINTS]],
    "xplique": [
        # what xplique asks for, without CUDA and without the window system's OpenCV
        ["tensorflow==2.20.0", "tensorflow-probability[tf]==0.25.0", "scipy<=1.15.3", "scikit-image<=0.25.2"],
        ["scikit-learn<=1.7.2", "scipy<=1.15.3", "einops", "deprecated", "opencv-python-headless", "matplotlib"],
        ["--no-deps", "xplique==2.0.2"],
    ],
    TORCHDIFFEQ: [
        ["torch==2.13.0", "torchdiffeq==0.2.5", *CONSTRAINTS],
        # for the test that compares the two: what gradcam needs; gradcam itself comes from the repository
        [str(ROOT), "pytest", *CONSTRAINTS],
    ],
    DIFFRAX: [["diffrax==0.7.2", "equinox==0.13.8", "jax==0.10.2", "jaxlib==0.10.2", *CONSTRAINTS]],
}
"""For each environment what is given to `pip install`, one call after the other."""


class InstallError(Exception):
    """An environment cannot be made; the message is the reason."""


def make_environment(name: str) -> None:
    """Make an environment unless it is there; ours takes the repository as it is now.

    Raises:
        InstallError: pip failed.
    """
    directory, recipe = PLACE / name, json.dumps(ENVIRONMENTS[name])
    done = directory / "recipe.json"
    if done.is_file() and done.read_text() == recipe and name != OURS:
        return
    print(f"installing {name}", file=sys.stderr)
    if name != OURS:
        shutil.rmtree(directory, ignore_errors=True)
    if not python_of(name).exists():
        venv.create(directory, with_pip=True)
    for words in ENVIRONMENTS[name]:
        pip = subprocess.run(
            [python_of(name), "-m", "pip", "install", "--quiet", *words], capture_output=True, text=True
        )
        if pip.returncode:
            raise InstallError(reason(pip.stderr))
    done.write_text(recipe)


def python_of(name: str) -> Path:
    """Return the interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def versions_in(name: str) -> dict[str, str]:
    """Return the version of each package of an environment."""
    pip = [python_of(name), "-m", "pip", "list", "--format", "json"]
    rows = json.loads(subprocess.run(pip, capture_output=True, text=True, check=True).stdout)
    return {row["name"].lower(): row["version"] for row in rows}


def reason(stderr: str) -> str:
    """Return the line that says what went wrong: the first one that names an error."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"error: |ERROR: |[\w.]*(Error|Exception)(:|$)", line)]
    return (errors or lines[-1:] or ["it ended without a word"])[0]
