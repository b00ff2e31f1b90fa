"""Files that TensorFlow 2.12 and 2.15 wrote (`write_files.py`): each model computes what that TensorFlow computed.

They contain every layer of Keras 2 for images and sequences that Keras 3 can express, a model of the translated
operations, models whose layers are partly frozen, and one without an input shape.
"""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from gradcam_cli.models.model_files import load_model_file

FILES = Path(__file__).parent


@pytest.fixture(params=["2.12", pytest.param("2.15", marks=pytest.mark.extended)])
def old_files(request, tmp_path):
    with tarfile.open(FILES / f"files_{request.param}.tar.xz") as archive:
        archive.extractall(tmp_path)  # written by `write_files.py`
    return tmp_path


@pytest.mark.slow
def test_outputs_are_those_of_the_old_tensorflow(old_files):
    """The `.h5` files are of TensorFlow 2.12, the `.keras` files of 2.15."""
    errors = {}
    with np.load(old_files / "expected.npz") as expected:
        files = sorted(set(old_files.iterdir()) - {old_files / "expected.npz"})
        for file in files:
            inputs = [expected[f"input_{name}"] for name in expected[f"inputs_{file.stem}"]]
            model = load_model_file(file, allow_unsafe=False)
            output = model(inputs if len(inputs) > 1 else inputs[0], training=False)
            scale = np.abs(expected[file.stem]).max()
            errors[file.name] = np.abs(output - expected[file.stem]).max() / scale
    assert len(errors) > 100
    assert {name: error for name, error in errors.items() if not error < 1e-5} == {}
