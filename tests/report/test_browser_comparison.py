"""The view of a comparison in a browser: the drift of a map has a table of its own."""

from __future__ import annotations

import pytest
from report_documents import make_document, make_entry, with_maps

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


@pytest.fixture
def comparison(images):
    runs = [{"run": "before"}, {"run": "after", "metrics": {"rank": 0.25}}]
    titles = [{"name": "rank", "title": "1 - rank correlation", "higher_is_better": False}]
    return make_document([with_maps(make_entry(**images), *runs)], command="compare", metrics=titles)


def test_drift_is_one_value_of_both_maps(open_report, comparison):
    page = open_report(comparison, "#entry=1")
    values, drifts = page.locator("#numbers table").all()
    expect(drifts.locator("tbody tr")).to_have_text(["1 - rank correlation rank0.25"])
    expect(values).not_to_contain_text("rank")


def test_card_shows_the_drift_of_its_image(open_report, comparison):
    """All measures but the class change, which the two classes show; once, also if the images are sorted by one."""
    comparison["entries"][0]["metrics"] = {"class-change": 1.0, "rank": 1.1e-16, "peak-shift": 0.25}
    page = open_report(comparison, "#sort=metric:rank")
    expect(page.locator("#cards .status").last).to_have_text("drift: rank 0.000 · peak-shift 0.250")


def test_layer_name_is_not_broken(open_report, comparison):
    """With a column for each run, `block5_conv4` is on one line."""
    for map_ in comparison["entries"][0]["maps"]:
        map_["layer"] = "block5_conv4"
    page = open_report(comparison, "#entry=1")
    row = page.locator("#numbers tr", has=page.locator("th", has_text="layer"))
    method = page.locator("#numbers tr", has=page.locator("th", has_text="method"))
    assert row.bounding_box()["height"] == pytest.approx(method.bounding_box()["height"], abs=1)
