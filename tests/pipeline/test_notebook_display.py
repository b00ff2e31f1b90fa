"""What a notebook shows of explanations, figures and long runs."""

import base64
import io
import re
import sys
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from small_models import small_network

from gradcam_cli import explain, explain_many, grid, load_model
from gradcam_cli.errors import UsageError
from gradcam_cli.images.load import Failure
from gradcam_cli.output import notebook_progress
from gradcam_cli.output.figure_files import figure_pixels

IMAGES = np.random.default_rng(4).integers(0, 256, (4, 12, 16, 3), np.uint8)
NAMES = ["cat", "<script>alert(1)</script>", 'dog" onload="x']


@pytest.fixture(scope="module")
def classifier():
    return load_model(small_network(), preprocess="0..1", labels=NAMES)


class Page(HTMLParser):
    """The tags, with their attributes, and the texts of HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts.append(data)


def test_html_shows_map_predictions_and_settings(classifier):
    explanation = explain(IMAGES[0] / 255, classifier, "conv2", fit="crop", aug_smooth=True)
    page = Page(explanation._repr_html_())
    for prediction in explanation.predictions:
        row = page.texts.index(str(prediction))
        assert page.texts[row + 1] == f"{prediction.probability:.3f}"
    pairs = dict(zip(page.texts, page.texts[1:], strict=False))
    assert pairs["layer"] == "conv2, 10x10 cells"
    assert pairs["image"] == "array, 16x12 pixels"
    assert (pairs["method"], pairs["fit"], pairs["aug_smooth"]) == ("gradcam", "crop", "True")
    assert pairs["note"] == explanation.note
    assert "interpolation" not in pairs  # the default
    (source,) = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    data = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    assert data == explanation._repr_png_()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height


def test_html_is_escaped_and_loads_nothing(classifier):
    for name in NAMES:
        explanation = explain(IMAGES[0], classifier, target_class=name)
        html = explanation._repr_html_()
        page = Page(html)
        assert {tag for tag, _ in page.tags} <= {"div", "img", "table", "thead", "tbody", "tr", "th", "td"}
        assert not [key for _, attributes in page.tags for key in attributes if key.startswith("on")]
        assert not re.findall(r"https?:|<link|url\(", html)
        assert any(name in text for text in page.texts)


def test_html_lists_five_predictions():
    explanation = explain(IMAGES[0], load_model(small_network(classes=9), preprocess="0..1"), top_k=8)
    texts = Page(explanation._repr_html_()).texts
    assert texts.index("Setting") - texts.index("Prediction") == 11  # the heading, then five names and five numbers


def test_figures_show_themselves(classifier):
    """The PNG of a figure, without pyplot."""
    explanations = list(explain_many(IMAGES[:2], classifier, methods=["gradcam", "layercam"]))
    for figure in (explanations[0].figure(), grid(explanations)):
        with Image.open(io.BytesIO(figure._repr_png_())) as picture:
            np.testing.assert_array_equal(np.asarray(picture), figure_pixels(figure))


def test_a_grid_has_a_row_for_each_image(classifier):
    """A row of three panels and two rows of three panels; equal names of different images are two rows."""
    methods = ["gradcam", "layercam"]
    one = [explain(IMAGES[0], classifier, method=method) for method in methods]
    two = [*one, *(explain(IMAGES[1], classifier, method=method) for method in methods)]
    assert [len(grid(maps).axes) for maps in (one, two)] == [4, 7]  # and a color bar
    assert grid(two).get_figheight() > grid(one).get_figheight()
    for wrong in ([], [Failure("a", "b")], [IMAGES[0]]):
        with pytest.raises(UsageError, match="expected results of explain"):
            grid(wrong)


@pytest.fixture
def shown(monkeypatch):
    """The texts that a notebook shows, in a process that looks like its kernel."""
    texts = []
    module = ModuleType("IPython")
    module.get_ipython = lambda: SimpleNamespace(kernel=object())
    display = ModuleType("IPython.display")
    handle = SimpleNamespace(update=lambda data, raw: texts.append(data["text/plain"]))
    display.display = lambda data, raw, display_id: (texts.append(data["text/plain"]), handle)[1]
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(notebook_progress, "DELAY", 0)
    monkeypatch.setattr(notebook_progress, "INTERVAL", 0)
    return texts


def test_a_notebook_shows_the_progress(classifier, shown):
    list(explain_many(IMAGES, classifier, batch_size=2))
    counts = [re.fullmatch(r"explained (\d) of 4 images in \d+ s", text)[1] for text in shown]
    assert counts == ["1", "2", "3", "4", "4"]
    shown.clear()
    next(explain_many(iter(IMAGES), classifier, batch_size=2))
    assert shown[0].startswith("explained 1 images")
    shown.clear()
    list(explain_many(IMAGES, classifier, progress=False))
    assert not shown


def test_no_progress_outside_a_notebook(classifier, capfd, monkeypatch):
    monkeypatch.setattr(notebook_progress, "DELAY", 0)
    list(explain_many(IMAGES, classifier))
    assert capfd.readouterr() == ("", "")
