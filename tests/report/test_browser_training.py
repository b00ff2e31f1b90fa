"""The page of a training in a browser: slider, keyboard, drawn maps, curves, width, colors, accessibility."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from chromium import page_opener
from report_documents import INJECTIONS
from training_records import record

from gradcam_cli.output.colors import color_table
from gradcam_cli.reporting.build import build_report

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"
PIXEL = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]"


@pytest.fixture
def open_training(browser, tmp_path):
    """Open the page of a record; it must log no error and request nothing outside its directory."""
    with page_opener(browser, tmp_path) as open_page:

        def open_record(fragment="", names=("images[0]", "images[1]"), **options):
            record(tmp_path, names)
            build_report(tmp_path)
            return open_page(fragment, **options)

        yield open_record


def alpha(page, number, x):
    """Opacity of a map at a place of its upper row, 0..255."""
    canvas = page.locator("#maps canvas").nth(number)
    size = canvas.evaluate("(canvas) => [canvas.width, canvas.height]")
    return canvas.evaluate(PIXEL, [int(x * size[0]), int(0.1 * size[1])])[3]


def test_slider_moves_through_the_epochs(open_training):
    """The last epoch is shown first; keys of the slider and of the page, buttons and links select others."""
    page = open_training()
    current = page.locator("#current")
    expect(current).to_have_text("Epoch 4 of 4")
    expect(page.locator("#next")).to_be_disabled()
    page.locator("#epoch").press("Home")
    expect(current).to_have_text("Epoch 1 of 4")
    expect(page.locator("#previous")).to_be_disabled()
    page.locator("#epoch").press("ArrowRight")
    expect(current).to_have_text("Epoch 2 of 4")
    assert page.url.endswith("#epoch=2")
    page.locator("#next").click()
    expect(current).to_have_text("Epoch 4 of 4")
    page.locator("#play").focus()
    page.keyboard.press("ArrowLeft")
    expect(current).to_have_text("Epoch 2 of 4")
    page.reload()
    expect(current).to_have_text("Epoch 2 of 4")
    page.evaluate("location.hash = 'epoch=1'")
    expect(current).to_have_text("Epoch 1 of 4")


def test_play_shows_all_epochs_and_ends(open_training):
    page = open_training()
    page.locator("#play").click()
    expect(page.locator("#current")).to_have_text("Epoch 1 of 4")
    expect(page.locator("#play")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#current")).to_have_text("Epoch 4 of 4")
    expect(page.locator("#play")).to_have_text("Play")


def test_maps_are_drawn_from_their_values(open_training):
    """The map of the first image is on the left in epoch 1 and on the right in epoch 2, in the color of its value."""
    page = open_training("#epoch=1")
    assert alpha(page, 0, 0.02) > 170 > 20 > alpha(page, 0, 0.97)
    canvas = page.locator("#maps canvas").first
    color = canvas.evaluate(PIXEL, [1, 1])[:3]
    np.testing.assert_allclose(color, color_table("viridis")[255], atol=3)
    page.locator("#next").click()
    assert alpha(page, 0, 0.97) > 170 > 20 > alpha(page, 0, 0.02)
    page.locator("#opacity").fill("0")
    assert alpha(page, 0, 0.97) == 0


def test_card_names_class_drift_and_missing_map(open_training):
    page = open_training("#epoch=2")
    card = page.locator("#maps li").first
    expect(card).to_contain_text("explained: 1 cat (0.250)")
    expect(card.locator(".predicted")).to_have_text("predicted: 0 dog (0.500)")
    expect(card.locator(".drift")).to_contain_text("drift last 1.")
    # the map is largest from the center of a cell to the border: from 0, 0 to 25, 0 of 30x20 pixels
    page.locator("#measure").select_option("peak-shift")
    expect(card.locator(".drift")).to_contain_text(f"drift last {25 / np.hypot(19, 29):.3f} ·")
    expect(page.locator("#problem")).to_be_hidden()
    page.locator("#next").click()
    expect(page.locator("#problem")).to_have_text("Epoch 4: 1 of 2 images have no map.")
    expect(page.locator("#maps li").nth(1).locator(".error")).to_have_text("no map: the weights contain NaN")
    assert alpha(page, 1, 0.02) == 0


def test_curves_show_the_epoch(open_training):
    page = open_training("#epoch=1")
    line = page.locator("#curves figure > svg").nth(2).locator(".now")
    expect(line).to_have_attribute("x1", "44")
    page.locator("#epoch").press("End")
    expect(line).to_have_attribute("x1", "410")
    page.locator("summary").click()
    expect(page.locator("table tbody tr")).to_have_count(3)


def test_untrusted_names_are_shown_as_text(open_training):
    page = open_training(names=INJECTIONS[:2])
    assert page.locator("#maps .name").all_inner_texts() == [text.strip() for text in INJECTIONS[:2]]
    assert page.evaluate("typeof window.pwned") == "undefined"


def test_narrow_screen_needs_no_horizontal_scrolling(open_training):
    page = open_training(names=("w" * 300, "images[1]"), viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_page_without_javascript_shows_the_curves(open_training):
    page = open_training(java_script_enabled=False)
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#player")).to_be_hidden()
    expect(page.locator("#curves polyline.line1").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_violation(open_training, scheme):
    if not Path(AXE).is_file():
        pytest.skip("axe-core is not installed; GRADCAM_AXE may contain the path of axe.min.js")
    page = open_training(color_scheme=scheme)
    page.locator("summary").click()
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((result) => result.violations)")
    assert [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")] == []
