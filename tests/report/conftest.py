"""Fixtures of the browser tests of reports: the page of a document, and example documents."""

from __future__ import annotations

import chromium
import numpy as np
import pytest
from PIL import Image
from report_documents import make_document, make_entry, make_failure, make_map, with_maps

from gradcam_cli.reporting import page as report_page

browser = chromium.browser


@pytest.fixture
def open_report(browser, tmp_path):
    """Open the page of a document; the page must log no error and request nothing outside its directory."""
    with chromium.page_opener(browser, tmp_path) as open_page:

        def open_document(document, fragment="", **options):
            (tmp_path / "index.html").write_text(report_page.render(document), encoding="utf-8")
            return open_page(fragment, **options)

        yield open_document


@pytest.fixture
def images(tmp_path):
    """Files of an image, two maps and a thumbnail, and the fields of an entry that name them."""
    (tmp_path / "report").mkdir()
    rng = np.random.default_rng(0)
    shapes = {"image": (30, 40, 3), "map": (15, 20, 4), "map2": (15, 20, 4), "thumbnail": (30, 40, 3)}
    for name, shape in shapes.items():
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"report/{name}.png")
    return {"image": "report/image.png", "thumbnail": "report/thumbnail.png", "size": [40, 30]}


def explained(name, class_name, probability, **fields):
    """An entry with one map, of the class of the entry."""
    shown = {"class": class_name, "probability": probability}
    return make_entry(name, **fields, **shown) | {"maps": [make_map(**shown)]}


@pytest.fixture
def gallery_document(images):
    """Nine inputs with several classes, probabilities, metrics and statuses."""
    classes = ["tabby", "tiger cat", "dog"]
    entries = [
        explained(
            f"photos/{name}{number}.png",
            classes[number % 3],
            round(0.1 * number, 1),
            **images,
            metrics={"deletion": None if number == 3 else 1 / number},
        )
        for number, name in enumerate(["img", "img", "x", "x", "y", "y", "z"], start=1)
    ]
    entries[4]["name"] = "photos/img10.png"
    second = {"class": entries[1]["class"], "probability": entries[1]["probability"]}
    entries[1] = with_maps(entries[1], second, {**second, "zero_reason": "every weight is negative"})
    entries[2]["failed_thresholds"] = ["deletion"]
    entries += [make_failure("bad.jpg", "cannot be read", "check the file"), make_entry("old.jpg", status="skipped")]
    entries[-1].update({"probability": None, "class": None, "maps": [], "predictions": []})
    metrics = [{"name": "deletion", "title": "area under the deletion curve", "higher_is_better": False}]
    return make_document(entries, metrics=metrics, counts={"ok": 7, "failed": 1, "skipped": 1})


@pytest.fixture
def maps_document(images):
    """An image with maps of two classes, two layers and two methods, without some combinations; and another image."""
    entry = with_maps(
        make_entry("one.png", **images),
        {"layer": "conv1"},
        {"layer": "conv2", "map_image": "report/map2.png"},
        {"layer": "conv2", "method": "layercam", "command": "gradcam one.png --method layercam"},
        {"class": "dog", "layer": "conv2", "probability": 0.1},
    )
    return make_document([entry, make_entry("two.png", **images)])


@pytest.fixture
def depth_document(images):
    depths = [{"t": t, "adjoint_norm": norm} for t, norm in [(0.0, 0.01), (0.5, 0.04), (1.0, 0.02)]]
    return make_document([with_maps(make_entry("one.png", **images), *depths)], command="neuralode explain")
