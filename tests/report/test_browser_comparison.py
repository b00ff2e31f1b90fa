"""The view of a comparison in a browser: the drift of a map has a table of its own."""

from __future__ import annotations

import re

import pytest
from report_documents import make_document, make_entry, make_levels, with_maps

from gradcam_cli.reporting.truth import truth_states

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


@pytest.fixture
def pair(images):
    """An image with the numbers of both maps: 0.2 before, 0.8 after."""
    runs = [
        {"run": "before", "levels": make_levels([[51]])},
        {"run": "after", "levels": make_levels([[204]]), "metrics": {"rank": 0.25}},
    ]
    return make_document([with_maps(make_entry(**images), *runs)], command="compare")


def test_divider_separates_the_map_before_from_that_after(open_report, pair):
    """It follows the pointer and the keys; the arrows do not open the next image."""
    page = open_report(pair, "#entry=1")
    page.locator("#swipe").check()
    expect(page.locator("#viewer figure")).to_have_count(1)
    before, after = page.locator("#viewer .map").all()
    expect(before).to_have_css("clip-path", "inset(0px 50% 0px 0px)")
    expect(after).to_have_css("clip-path", "inset(0px 0px 0px 50%)")
    frame = page.locator("#viewer .frame").bounding_box()
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 20)
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.3 * frame["width"], frame["y"] + 20)
    page.mouse.up()
    expect(page.locator("#divider")).to_have_value("30")
    expect(before).to_have_css("clip-path", "inset(0px 70% 0px 0px)")
    expect(page.locator("#value")).to_contain_text("before 0.050 (20.0 % of the maximum) · after 0.200 (80.0 %")
    page.locator("#divider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#divider")).to_have_value("31")
    expect(after).to_have_css("clip-path", "inset(0px 0px 0px 31%)")
    expect(page).to_have_url(re.compile("entry=1.*divider=31"))
    page.reload()
    expect(page.locator("#swipe")).to_be_checked()
    expect(page.locator("#divider")).to_have_value("31")


def test_divider_needs_no_numbers(open_report, pair):
    """Pictures of an earlier version are divided as well; a single map cannot be."""
    for map_ in pair["entries"][0]["maps"]:
        map_["levels"] = None
    pair["entries"].append(make_entry("single.png", image="report/image.png"))
    page = open_report(pair, "#entry=1&mode=swipe&divider=25")
    expect(page.locator("#viewer img.map").last).to_have_css("clip-path", "inset(0px 0px 0px 25%)")
    page.locator("#next").click()
    expect(page.locator("#swipe")).to_be_hidden()
    expect(page.locator("#divider")).to_be_hidden()


def test_largest_drift_comes_first(open_report):
    """And the images whose class has changed are one click away, as are mended and broken ones."""
    entries = []
    states = [("mended", 0.1, 1.0), ("right", 0.7, 0.0), ("broken", 0.4, 1.0)]
    for state, rank, change in states:
        truth = {"state": state, "true": "cat", "predicted": "cat", "unknown": None, "probability": 0.5, "rank": 1}
        drift = {"class-change": change, "rank": rank}
        entries.append(make_entry(f"{state}.png", metrics=drift, truth=truth))
    titles = [{"name": name, "title": name, "higher_is_better": False} for name in ("class-change", "rank")]
    document = {"metrics": titles, "truth_states": truth_states(entries, compared=True), "command": "compare"}
    page = open_report(make_document(entries, **document))
    expect(page.locator("#cards .name")).to_have_text(["right.png", "broken.png", "mended.png"])
    expect(page.locator("#sort")).to_have_value("metric:rank")
    page.get_by_role("link", name="class changed 2").click()
    expect(page.locator("#cards .name")).to_have_text(["broken.png", "mended.png"])
    page.get_by_role("link", name="mended 1").click()
    expect(page.locator("#cards .name")).to_have_text(["mended.png"])
    page.locator("#reset").click()
    expect(page.locator("#cards .name")).to_have_count(3)
