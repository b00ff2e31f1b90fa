"""The notebook of the documentation runs, and each of its cells shows what it promises."""

import base64
import io
import re

import numpy as np
import pytest
from doc_blocks import ROOT
from PIL import Image

NOTEBOOK = ROOT / "docs/quickstart.ipynb"
PICTURES = ("image/png", "image/jpeg")


@pytest.fixture(scope="module")
def notebook():
    return pytest.importorskip("nbformat").read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(notebook):
    """The code cells, as nbconvert runs them in the directory of the notebook."""
    preprocessors = pytest.importorskip("nbconvert.preprocessors")
    pytest.importorskip("ipykernel")
    preprocessor = preprocessors.ExecutePreprocessor(timeout=300, kernel_name="python3")
    result, _ = preprocessor.preprocess(notebook.copy(), {"metadata": {"path": str(NOTEBOOK.parent)}})
    return [cell for cell in result.cells if cell.cell_type == "code"]


def test_committed_notebook_has_no_outputs(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 6
    assert not any(cell.outputs or cell.execution_count for cell in code)


@pytest.mark.extended
@pytest.mark.slow
def test_every_cell_runs_and_shows_its_pictures(executed):
    """Each cell that ends with an explanation, a figure or an image shows one picture, which has several colors."""
    for cell in executed[1:-1]:
        shown = [output.data for output in cell.outputs if output.output_type == "execute_result"]
        pictures = [data[kind] for data in shown for kind in PICTURES if kind in data]
        assert pictures, cell.source
        with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
            assert min(picture.size) > 200
            assert np.asarray(picture.convert("RGB")).std() > 10
    assert not [output for cell in executed for output in cell.outputs if output.output_type == "error"]


@pytest.mark.slow
def test_html_of_the_cells_holds_predictions_and_loads_nothing(executed):
    first, last = (executed[i].outputs[-1].data["text/html"] for i in (1, -1))
    assert "285 Egyptian_cat" in first
    assert re.search(r'src="data:image/png;base64,[A-Za-z0-9+/=]+"', first)
    assert "<td>gradcam</td><td>3</td>" in last
    for html in (first, last):
        assert not re.findall(r"https?:|<script|<link", html)
