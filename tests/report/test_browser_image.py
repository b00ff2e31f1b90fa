"""The view of one image in a browser: maps, opacity, marks, depth, comparison, commands."""

from __future__ import annotations

import re

import pytest
from report_documents import make_document, make_entry, with_maps

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def test_slider_sets_the_opacity_of_the_map(open_report, maps_document):
    """The slider sets the opacity of the map; side by side, image and map are separate figures of equal size."""
    page = open_report(maps_document, "#entry=1")
    map_image = page.locator("#viewer .map")
    expect(map_image).to_have_css("opacity", "0.7")
    slider = page.locator("#opacity")
    slider.fill("25")
    expect(map_image).to_have_css("opacity", "0.25")
    slider.press("ArrowRight")
    expect(map_image).to_have_css("opacity", "0.26")
    expect(page).to_have_url(re.compile("opacity=26"))
    page.locator("#side").check()
    expect(page.locator("#viewer figure")).to_have_count(2)
    expect(page.locator("#viewer figure").first.locator(".map")).to_have_count(0)
    expect(map_image).to_have_css("opacity", "1")
    boxes = [frame.bounding_box() for frame in page.locator("#viewer .frame").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["width"] == pytest.approx(4 / 3 * boxes[0]["height"], abs=1)


def test_class_layer_and_method_select_the_map(open_report, maps_document):
    """A combination without a map shows the closest map."""
    page = open_report(maps_document, "#entry=1")
    caption = page.locator("#viewer figcaption")
    page.locator("#map-layer").select_option("conv2")
    expect(caption).to_have_text(re.compile("^cat · .* · gradcam · conv2 14x14 · vgg19$"))
    expect(page.locator("#scale-end")).to_have_text("0.25, maximum of the map")
    expect(page.locator("#viewer .map")).to_have_attribute("src", "report/map2.png")
    page.locator("#map-method").select_option("layercam")
    expect(caption).to_have_text(re.compile("^cat · .* · layercam · conv2 14x14 · vgg19$"))
    expect(page.locator("#rerun pre")).to_have_text("gradcam one.png --method layercam")
    page.locator("#map-class").select_option("dog")
    expect(caption).to_have_text(re.compile("^dog · .* · gradcam · conv2 14x14 · vgg19$"))
    expect(page).to_have_url(re.compile("map=4"))
    page.locator("#next").click()
    expect(page.locator("#map-class")).to_be_hidden()


def test_classes_with_equal_names_are_numbered(open_report, images):
    maps = [{"probability": 0.5}, {"probability": 0.3, "map_image": "report/map2.png"}]
    page = open_report(make_document([with_maps(make_entry(**images), *maps)]), "#entry=1")
    page.locator("#map-class").select_option("cat (2)")
    expect(page.locator("#scale-end")).to_have_text("0.25, maximum of the map")
    expect(page.locator("#viewer .map")).to_have_attribute("src", "report/map2.png")


def test_marks_are_at_their_pixels(open_report, maps_document):
    page = open_report(maps_document, "#entry=1")
    page.locator("#peak").check()
    page.locator("#box").check()
    frame, peak, box = (page.locator(f"#viewer {name}").bounding_box() for name in (".frame", ".peak", ".box"))
    scale = frame["width"] / 40
    assert peak["x"] + peak["width"] / 2 - frame["x"] == pytest.approx(9.5 * scale, abs=0.6)
    assert peak["y"] + peak["height"] / 2 - frame["y"] == pytest.approx(14.5 * scale, abs=0.6)
    assert box["x"] - frame["x"] == pytest.approx(10 * scale, abs=0.6)
    assert box["height"] == pytest.approx(18 * scale, abs=0.6)


def test_slider_selects_the_depth(open_report, depth_document):
    """The slider selects the depth; the curve and its table contain the adjoint norms."""
    page = open_report(depth_document, "#entry=1")
    slider = page.locator("#depth")
    slider.press("ArrowRight")
    expect(page.locator("#depth-value")).to_have_text("0.5")
    expect(slider).to_have_attribute("aria-valuetext", "t = 0.5")
    expect(slider).to_be_focused()
    expect(page.locator("#viewer figcaption")).to_contain_text("t = 0.5")
    expect(page.locator("#sparkline svg")).to_have_attribute("aria-label", re.compile("0.04 at t = 0.5"))
    page.locator("#sparkline summary").click()
    expect(page.locator("#sparkline tbody tr")).to_have_text(["00.01", "0.50.04", "10.02"])


def test_comparison_shows_both_maps(open_report, images):
    """One slider sets the opacity of both maps, and their values are in two columns."""
    runs = [{"run": "before", "probability": 0.8}, {"run": "after", "probability": 0.4, "map_image": "report/map2.png"}]
    page = open_report(make_document([with_maps(make_entry(**images), *runs)], command="compare"), "#entry=1")
    page.locator("#opacity").fill("40")
    for index, map_image in enumerate(["report/map.png", "report/map2.png"]):
        expect(page.locator("#viewer .map").nth(index)).to_have_attribute("src", map_image)
        expect(page.locator("#viewer .map").nth(index)).to_have_css("opacity", "0.4")
    expect(page.locator("#numbers thead th")).to_have_text(["before", "after"])
    expect(page.locator("#numbers")).to_contain_text("80.0 %40.0 %")
    page.locator("#side").check()
    expect(page.locator("#viewer figure")).to_have_count(3)


def test_notices_of_failed_inputs_and_zero_maps(open_report, gallery_document):
    page = open_report(gallery_document, "#entry=8")
    for text in ("cannot be read", "check the file"):
        expect(page.locator("#notices")).to_contain_text(text)
    expect(page.locator("#explanation")).to_be_hidden()
    page.goto(page.url.replace("entry=8", "entry=2&map=2"))
    expect(page.locator("#notices")).to_contain_text("every weight is negative")


def test_link_restores_the_view(open_report, maps_document):
    """The URL contains image, map, mode and opacity."""
    page = open_report(maps_document, "#entry=1&map=3&mode=side&opacity=70")
    expect(page.locator("#viewer figcaption").last).to_have_text(re.compile("^cat · .* · layercam · conv2 14x14"))
    expect(page.locator("#side")).to_be_checked()
    expect(page.locator("#viewer .map")).to_have_css("opacity", "0.7")


def test_command_is_copied(open_report, maps_document):
    page = open_report(maps_document, "#entry=1&map=3", permissions=["clipboard-read", "clipboard-write"])
    page.locator("#rerun button").click()
    expect(page.locator("#copied")).not_to_be_empty()
    assert page.evaluate("navigator.clipboard.readText()") == "gradcam one.png --method layercam"


def test_command_is_copied_without_clipboard_access(open_report, maps_document):
    """The command is selected, and copied with the selection."""
    page = open_report(maps_document, "#entry=1&map=3")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.locator("#rerun button").click()
    expect(page.locator("#copied")).not_to_be_empty()
    assert page.evaluate("String(getSelection())") == "gradcam one.png --method layercam"
