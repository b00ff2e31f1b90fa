"""The page as a whole in a browser: links, untrusted texts, speed, colors, width, print, accessibility."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from report_documents import INJECTIONS, make_document, make_entry, make_failure, make_levels, make_plot, with_maps

from gradcam_cli.reporting import page as report_page

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"
CARDS = "#cards a"


def test_invalid_link_shows_the_gallery(open_report, gallery_document):
    page = open_report(gallery_document, "#entry=999&status=constructor&sort=__proto__&page=-3&opacity=x&min=abc")
    expect(page.locator(CARDS)).to_have_count(9)
    page.goto(page.url.split("#")[0] + "#entry=1&map=77&opacity=1000")
    expect(page.locator("#name")).to_have_text("photos/img1.png")


def test_back_and_forward_restore_filters_and_images(open_report, gallery_document):
    """Filters and images are entries of the browser's history; typing a word is one entry."""
    page = open_report(gallery_document)
    page.locator("#q").press_sequentially("img")
    page.locator(CARDS).nth(1).click()
    page.locator("#next").click()
    page.go_back()
    expect(page.locator("#name")).to_have_text("photos/img2.png")
    page.go_back()
    expect(page.locator(CARDS).nth(1)).to_be_focused()
    expect(page.locator("#q")).to_have_value("img")
    page.go_back()
    expect(page.locator(CARDS)).to_have_count(9)
    expect(page.locator("#q")).to_have_value("")
    page.go_forward()
    expect(page.locator(CARDS)).to_have_count(3)


def test_untrusted_texts_are_shown_as_text(open_report, images):
    """Names, labels and errors in gallery, image view and summary; no script in them runs."""
    texts = INJECTIONS[:-1]
    entries = []
    for text in texts:
        fields = {"class": text, "layer": text, "method": text, "command": text, "zero_reason": text}
        entry = make_entry(text, **images, predictions=[[text, 0.5]], failed_thresholds=[text]) | {"class": text}
        entries.append(with_maps(entry, {**fields, "numbers": [[text, text]]}, {"class": "other"}))
        entries.append(make_failure(text, error=text, hint=text))
    page = open_report(make_document(entries, command_line=texts[0]))
    names = page.locator("#cards .name").all()
    assert [name.get_attribute("title") for name in names][::2] == texts
    expect(names[0]).to_have_text(texts[0])
    for number, text in enumerate(texts):
        page.goto(f"{page.url.split('#')[0]}#entry={2 * number + 1}")
        expect(page.locator("#name")).to_have_text(text)
        expect(page.locator("#rerun pre")).to_have_text(text)
        expect(page.locator("#map-class option").first).to_have_text(text)
    page.locator("#to-summary").click()
    expect(page.locator(".failures a")).to_have_text(texts)
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.evaluate("document.querySelectorAll('[onerror], [onmouseover]').length") == 0


def test_five_thousand_inputs_are_fast(open_report, images, tmp_path):
    """With the numbers of three maps each; nodes do not grow with the number of inputs, and the times are printed."""
    for number in range(200):
        shutil.copy(tmp_path / "report/thumbnail.png", tmp_path / f"report/{number}.png")
    levels = make_levels([[17 * x for x in range(14)]] * 14)
    layers = [{"layer": f"conv{k}", "levels": levels} for k in range(3)]
    entries = []
    for n in range(5000):
        fields = {**images, "thumbnail": f"report/{n % 200}.png", "class": f"class {n % 300}"}
        explained = with_maps(make_entry(f"photos/{n}.jpg", **fields), *layers)
        entries.append(explained if n % 50 else make_failure(f"photos/{n}.jpg"))
    document = make_document(entries, settings=[["model", "mini"]] * 12)
    page = open_report(make_document())
    (tmp_path / "index.html").write_text(report_page.render(document), encoding="utf-8")
    start = time.perf_counter()
    page.reload()
    expect(page.locator(CARDS)).to_have_count(48)
    load_seconds = time.perf_counter() - start
    filter_milliseconds = page.evaluate(
        """() => new Promise((resolve) => {
          const start = performance.now(), field = document.getElementById("q");
          field.value = "499";
          field.dispatchEvent(new Event("input"));
          requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - start)));
        })"""
    )
    expect(page.locator("#count")).to_contain_text("15 of 5000")
    page.locator("#q").fill("")
    page.locator("#sort").select_option("name")
    expect(page.locator(CARDS)).to_have_count(48)
    nodes = page.evaluate("document.querySelectorAll('*').length")
    size = (tmp_path / "index.html").stat().st_size
    times = f"load {load_seconds:.2f} s, filter {filter_milliseconds / 1000:.3f} s"
    print(f"5,000 inputs, {size / 1e6:.1f} MB: {times}, {nodes} nodes")
    assert nodes < 1000


def test_colors_follow_the_system(open_report, gallery_document):
    brightness = {}
    for scheme in ("light", "dark"):
        page = open_report(gallery_document, color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, re.findall(r"\d+", color)))
    assert brightness["dark"] < 380 < brightness["light"]


@pytest.mark.parametrize("fragment", ["", "#class=cat", "#entry=1&mode=side", "#entry=2", "#view=summary"])
def test_narrow_screen_needs_no_horizontal_scrolling(open_report, maps_document, fragment):
    """At a width of 360 pixels, even with long names without spaces."""
    name = "w" * 300
    maps_document["entries"][1]["name"] = name
    maps_document["entries"][1]["maps"][0].update({"class": name, "numbers": [[name, name]], "files": {name: "a"}})
    table = {"title": "t", "columns": ["a"] * 20, "rows": [["b"] * 20]}
    maps_document.update({"settings": [[name, name]], "tables": [table]})
    page = open_report(maps_document, fragment, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_print_hides_controls(open_report, maps_document):
    page = open_report(maps_document, "#entry=1")
    page.emulate_media(media="print")
    for control in ("#controls", "#previous", "header nav"):
        expect(page.locator(control)).to_be_hidden()
    expect(page.locator("#viewer .map")).to_be_visible()


def test_page_without_javascript_shows_the_summary(open_report, gallery_document):
    page = open_report({**gallery_document, "command_line": "gradcam photos"}, java_script_enabled=False)
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("gradcam photos")
    expect(page.locator("#gallery")).to_be_hidden()


@pytest.mark.parametrize("fragment", ["", "#entry=1", "#summary"])
def test_notice_of_an_incomplete_run_stays_visible(open_report, gallery_document, fragment):
    page = open_report({**gallery_document, "partial": "interrupted: 9 of 40 inputs"}, fragment)
    page.evaluate("scrollTo(0, 1e6)")
    expect(page.get_by_text("interrupted: 9 of 40 inputs")).to_be_in_viewport()


def test_summary_and_gallery_keep_the_filter(open_report, gallery_document):
    page = open_report(gallery_document, "#q=img")
    page.locator("#to-summary").click()
    expect(page.locator("#summary-title")).to_be_focused()
    expect(page.locator("#to-summary")).to_have_attribute("aria-current", "page")
    page.locator("#to-gallery").click()
    expect(page.locator(CARDS)).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_views_have_no_serious_accessibility_violation(open_report, gallery_document, depth_document, images, scheme):
    """axe-core reports no serious violation in any view."""
    if not Path(AXE).is_file():
        pytest.skip("axe-core is not installed; GRADCAM_AXE may contain the path of axe.min.js")
    document = gallery_document
    document["entries"].append(depth_document["entries"][0])
    runs = [{"run": run, "levels": make_levels([[0, 255]])} for run in ("before", "after")]
    document["entries"].append(with_maps(make_entry(**images, predictions=[["dog", 0.5, 3]]), *runs))
    document.update(
        partial="interrupted",
        command_line="gradcam photos",
        settings=[["model", "mini"]],
        threshold_results=[{"threshold": "road=0.1", "failure": "got 0"}, {"threshold": "road=2", "failure": None}],
        tables=[{"title": "Means", "columns": ["map", "road"], "rows": [["gradcam", "0.1"]]}],
        plots=[make_plot("road")],
    )
    page = open_report(document, color_scheme=scheme)
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    views = ("#", "#q=nothing", "#status=zero", "#class=dog", "#entry=2&map=2&peak=1&box=1", "#entry=8", "#entry=10")
    views += ("#entry=11", "#entry=11&mode=swipe&lines=half", "#summary", "#keys")
    for fragment in views:
        page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        if fragment == "#keys":
            page.locator("#show-keys").click()
        page.wait_for_timeout(50)
        violations = page.evaluate("axe.run().then((result) => result.violations)")
        serious = [
            (violation["id"], violation["nodes"][0]["html"])
            for violation in violations
            if violation["impact"] in ("serious", "critical")
        ]
        assert serious == [], fragment
