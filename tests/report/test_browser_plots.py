"""The plots of the summary in a browser: their scale, their points as links, their colors."""

from __future__ import annotations

import re

import pytest
from report_documents import INJECTIONS, make_document, make_entry, make_map, make_plot, with_maps

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


@pytest.fixture
def document(images):
    entries = [make_entry("a.png", **images), with_maps(make_entry("b.png", **images), {}, {"metrics": {"road": 0.75}})]
    entries[0]["maps"] = [make_map(metrics={"road": 0.25})]
    titles = [{"name": "road", "title": "length of the road", "higher_is_better": True}]
    row = {"label": "gradcam", "baseline": False, "mean": 0.5, "total": 3, "points": [[0.25, 1], [0.5, 0], [0.75, 2]]}
    line = {"label": "gradcam", "baseline": False, "values": [1, 0.5, 0], "area": 0.5}
    plot = make_plot("road", words="length of the road", rows=[row], lines=[line])
    table = {"title": "Means", "columns": ["map", "road"], "rows": [["gradcam", "0.5"]]}
    return make_document(entries, plots=[plot], metrics=titles, tables=[table], command="evaluate")


def test_points_are_at_their_values_and_open_their_images(open_report, document):
    """The point at the mean of two others is halfway between them; that of no entry is no link."""
    page = open_report(document, "#summary")
    circles = [page.locator("#plots circle").nth(i) for i in range(3)]
    x = [float(circle.get_attribute("cx")) for circle in circles]
    assert x[1] == pytest.approx((x[0] + x[2]) / 2)
    assert float(page.locator("#plots .mean").get_attribute("x1")) == pytest.approx(x[1])
    links = page.locator("#plots a")
    expect(links).to_have_count(2)
    expect(links.last).to_have_attribute("aria-label", "b.png: 0.75, gradcam")
    links.last.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_have_text("b.png")
    expect(page).to_have_url(re.compile("entry=2&map=2"))
    page.locator("#back").click()
    expect(page.locator("#cards a")).to_have_count(2)


def test_ticks_are_at_their_values(open_report, document):
    """The labels of a row's axis are placed as the points are."""
    page = open_report(document, "#summary")
    x = [float(page.locator("#plots circle").nth(i).get_attribute("cx")) for i in (0, 2)]
    per_unit = (x[1] - x[0]) / 0.5
    labels = page.locator("#plots svg[role=group] > text").all()
    assert len(labels) >= 3
    for label in labels:
        assert float(label.get_attribute("x")) == pytest.approx(x[0] + (float(label.text_content()) - 0.25) * per_unit)


def test_curve_falls_from_one_to_zero(open_report, document):
    page = open_report(document, "#summary")
    points = [point.split(",") for point in page.locator("#plots polyline").get_attribute("points").split()]
    (x0, y0), (x1, y1), (x2, y2) = [(float(x), float(y)) for x, y in points]
    assert (x1 - x0, y1 - y0) == pytest.approx((x2 - x1, y2 - y1))
    assert y0 < y2
    expect(page.locator("#plots svg[role=img]")).to_have_attribute("aria-label", re.compile("gradcam from 1 to 0$"))
    expect(page.locator(".legend")).to_have_text("gradcam: area 0.500")


def test_metrics_have_their_words_and_their_names(open_report, document):
    page = open_report(document, "#summary")
    expect(page.locator(".plot h4")).to_have_text("length of the road road (higher is better)")
    expect(page.locator("#summary thead th").last).to_have_text("roadlength of the road")
    page.goto(page.url.replace("#summary", "#entry=1"))
    row = page.locator("#numbers tr", has=page.locator("code"))
    expect(row).to_have_text("length of the road road0.25")
    expect(page.locator("#sort option[value='metric:road']")).to_have_text("road: length of the road")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_plots_have_the_colors_and_the_width_of_the_page(open_report, document, scheme, width):
    page = open_report(document, "#summary", color_scheme=scheme, viewport={"width": width, "height": 740})
    fill = page.locator("#plots circle").first.evaluate("(node) => getComputedStyle(node).fill")
    assert fill == {"light": "rgb(29, 95, 196)", "dark": "rgb(134, 180, 255)"}[scheme]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 500, "height": 740})
    expect(page.locator("#plots svg[role]").first).to_have_attribute("width", re.compile(r"^4\d\d$"))


def test_texts_of_plots_are_texts(open_report, images):
    """Labels, words, axes, layers and names."""
    text = INJECTIONS[1]
    plot = make_plot(text, ticks=[text, text])
    page = open_report(make_document([make_entry(text, **images)] * 2, plots=[plot]), "#summary")
    expect(page.locator(".plot h4 code")).to_have_text(text)
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("#plots img").count() == 0
