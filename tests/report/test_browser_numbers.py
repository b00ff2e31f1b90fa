"""Maps as numbers in the view of one image: colors, opacity by value, lines, and the value under the pointer."""

from __future__ import annotations

import re

import numpy as np
import pytest
from report_documents import make_document, make_entry, make_levels, with_maps

from gradcam_cli.output.colors import color_table

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

LEVELS = make_levels([[0, 255], [51, 102]])
"""Values 0, 1, 0.2 and 0.4 at the centers of the four quarters of the image."""


@pytest.fixture
def numbers_document(images):
    maps = {"levels": LEVELS, "raw_max": 0.5}, {"class": "dog", "levels": {**LEVELS, "exact": False}, "raw_max": None}
    return make_document([with_maps(make_entry(**images), *maps), with_maps(make_entry("old.png", **images), {})])


def pixels_of(page):
    """The pixels of the first map that the page draws, (h, w, 4)."""
    width, height, data = page.evaluate(
        """() => {
          const { width, height } = document.querySelector("#viewer canvas");
          const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
          copy.drawImage(document.querySelector("#viewer canvas"), 0, 0);
          return [width, height, [...copy.getImageData(0, 0, width, height).data]];
        }"""
    )
    return np.reshape(data, (height, width, 4))


def read_at(page, x, y):
    """The text for a point, as fractions of the image."""
    box = page.locator("#viewer .frame").first.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    return page.locator("#value").inner_text()


def test_value_under_the_pointer_is_that_of_the_map(open_report, numbers_document):
    """At the centers of cells their values, halfway their mean, as a part of the maximum and in units of the score."""
    page = open_report(numbers_document, "#entry=1")
    expect(page.locator("#value")).to_have_text("Point at the map to read its values.")
    assert read_at(page, 0.75, 0.25).endswith("0.500 (100.0 % of the maximum)")
    for x, y, percent in [(0.25, 0.75, 20), (0.75, 0.75, 40), (0.5, 0.75, 30), (0.5, 0.5, 40)]:
        value, shown = re.search(r": (\S+) \((\S+) %", read_at(page, x, y)).groups()
        assert float(shown) == pytest.approx(percent, abs=0.4)
        assert float(value) == pytest.approx(percent / 200, abs=0.003)
    assert re.match(r"x (29|30|31), y 7: ", read_at(page, 0.75, 0.25))
    page.mouse.move(0, 0)
    expect(page.locator("#value")).to_have_text("Point at the map to read its values.")


def test_values_of_coarse_numbers_and_clipped_values_are_marked(open_report, numbers_document):
    first, second = numbers_document["entries"][0]["maps"]
    first["levels"] = make_levels([[255, 0]], top=0.2, limit=0.2)
    page = open_report(numbers_document, "#entry=1")
    assert "at least 0.100 (20.0 % of the maximum)" in read_at(page, 0.2, 0.5)
    page.goto(page.url + "&map=2")
    assert "about 40.0 % of the maximum" in read_at(page, 0.75, 0.75)
    second["levels"]["box"] = [0, 0, 0.5, 1]
    page = open_report(numbers_document, "#entry=1&map=2")
    assert "outside the model input" in read_at(page, 0.75, 0.75)


def test_color_map_and_opacity_are_those_chosen(open_report, numbers_document):
    page = open_report(numbers_document, "#entry=1&opacity=100")
    pixels = pixels_of(page)
    height, width, _ = pixels.shape
    assert (width, height) == (512, 384)  # of an image of 40 x 30 pixels
    viridis = color_table("viridis")
    np.testing.assert_allclose(pixels[height // 4, 3 * width // 4], [*viridis[255], 255], atol=3)
    np.testing.assert_allclose(pixels[3 * height // 4, 3 * width // 4], [*viridis[102], 102], atol=4)
    page.locator("#cmap").select_option("gray")
    page.locator("#blend").uncheck()
    expect(page).to_have_url(re.compile("cmap=gray&blend=constant"))
    np.testing.assert_allclose(pixels_of(page)[3 * height // 4, 3 * width // 4], [102, 102, 102, 255], atol=2)
    page.locator("#opacity").fill("50")
    assert pixels_of(page)[3 * height // 4, 3 * width // 4, 3] == pytest.approx(128, abs=1)
    assert page.locator("#scale rect").last.get_attribute("fill") == "rgb(255 255 255)"
    page.go_back()
    page.go_back()
    expect(page.locator("#cmap")).to_have_value("gray")
    expect(page.locator("#blend")).to_be_checked()


def test_lines_are_drawn_at_fractions_of_the_maximum(open_report, numbers_document):
    """Between 0.2 and 0.4 in the lower half, no line at 0.5; the line at 0.25 is a quarter of the way."""
    page = open_report(numbers_document, "#entry=1&opacity=0")
    assert not pixels_of(page)[..., 3].any()
    page.locator("#lines").select_option("quarters")
    row = pixels_of(page)[3 * 384 // 4]
    white = np.flatnonzero(row[:, 0] > 200)
    assert white.size
    assert white.mean() == pytest.approx(128 + 256 / 4, abs=3)


def test_picture_is_shown_where_the_numbers_are_coarser(open_report, numbers_document):
    """With the look of the run; another look is drawn from the numbers."""
    page = open_report(numbers_document, "#entry=1&map=2")
    expect(page.locator("#viewer img.map")).to_have_count(1)
    page.locator("#cmap").select_option("gray")
    expect(page.locator("#viewer canvas")).to_have_count(1)
    expect(page.locator("#viewer img.map")).to_have_count(0)


def test_report_without_numbers_shows_its_pictures(open_report, numbers_document):
    """As reports of earlier versions: no color map, no value."""
    page = open_report(numbers_document, "#entry=2&cmap=gray&lines=half")
    expect(page.locator("#viewer img.map")).to_be_visible()
    expect(page.locator("#cmap")).to_be_hidden()
    expect(page.locator("#value")).to_be_empty()
    assert read_at(page, 0.5, 0.5) == ""


def test_wrong_look_in_a_link_is_that_of_the_run(open_report, numbers_document):
    page = open_report(numbers_document, "#entry=1&cmap=constructor&blend=x&lines=__proto__&mode=swipe&divider=x")
    expect(page.locator("#cmap")).to_have_value("viridis")
    expect(page.locator("#blend")).to_be_checked()
    expect(page.locator("#viewer canvas")).to_have_count(1)


def test_detection_box_is_outlined(open_report, numbers_document):
    """In the view of the image and on its card, in pixels of the image."""
    numbers_document["entries"][0]["maps"][0]["detection"] = [10, 6, 30, 24]
    page = open_report(numbers_document)
    expect(page.locator("#cards rect.core")).to_have_attribute("width", "20")
    page.locator("#cards a").first.click()
    frame, box = (page.locator(f"#viewer {name}").bounding_box() for name in (".frame", ".detection"))
    assert box["x"] - frame["x"] == pytest.approx(10 * frame["width"] / 40, abs=0.6)
    assert box["height"] == pytest.approx(18 * frame["height"] / 30, abs=0.6)
