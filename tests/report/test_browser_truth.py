"""Right and wrong predictions in a browser: filters, cards, the confusion table and accessibility."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from report_documents import make_document, make_entry

from gradcam_cli.reporting.truth import confusion, truth_states

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"
PAIRS = [("cat", "cat"), ("cat", "dog & <b>"), ("cat", "dog & <b>"), ("dog & <b>", "dog & <b>"), (None, "cat")]


def entry(number, true, predicted):
    state = "unknown" if true is None else "right" if true == predicted else "wrong"
    rank = None if true is None else 1 if true == predicted else 2
    numbers = {"probability": None if true is None else 0.25, "rank": rank}
    truth = {"state": state, "true": true, "predicted": predicted, "unknown": "no row", **numbers}
    return make_entry(f"{number}.png", **{"class": predicted}, truth=truth)


@pytest.fixture
def document():
    entries = [entry(number, *pair) for number, pair in enumerate(PAIRS)]
    return make_document(entries, truth_states=truth_states(entries), confusion=confusion(entries))


def test_a_cell_of_the_table_opens_its_inputs(open_report, document):
    page = open_report(document, "#summary")
    expect(page.locator(".confusion tbody tr")).to_have_count(2)
    page.get_by_role("link", name="2 inputs: true class cat, predicted dog & <b>").click()
    expect(page.locator("#cards .name")).to_have_text(["1.png", "2.png"])
    expect(page.locator("#true")).to_have_value("cat")
    page.go_back()
    expect(page.locator("#summary")).to_be_visible()
    expect(page.locator(".accuracy")).to_have_text("Accuracy 0.500: 2 of 4 right · 2 wrong · 1 unknown.")
    page.get_by_role("link", name="1 unknown").click()
    expect(page.locator("#cards .name")).to_have_text(["4.png"])


def test_filters_select_right_wrong_and_unknown(open_report, document):
    page = open_report(document)
    for state, names in [("right", ["0.png", "3.png"]), ("wrong", ["1.png", "2.png"]), ("unknown", ["4.png"])]:
        page.locator("#truth").select_option(state)
        expect(page.locator("#cards .name")).to_have_text(names)
    page.locator("#reset").click()
    page.locator("#more summary").click()
    page.locator("#predicted").fill("DOG")
    expect(page.locator("#cards .name")).to_have_text(["1.png", "2.png", "3.png"])
    page.locator("#true").fill("cat")
    expect(page.locator("#cards .name")).to_have_text(["1.png", "2.png"])


def test_cards_and_the_view_of_an_image_name_the_true_class(open_report, document):
    page = open_report(document)
    expect(page.locator("#cards .status:not(.drawn)")).to_have_text(
        ["✓ right", "✗ wrong: cat", "✗ wrong: cat", "✓ right", "? true class unknown"]
    )
    page.locator("#cards a").nth(1).click()
    expect(page.locator("#notices")).to_have_text("✗ Wrong. Predicted: dog & <b>. True class: cat (25.0 %, rank 2).")


def test_a_run_of_wrong_images_shows_them_first(open_report, document):
    page = open_report({**document, "only": "wrong"})
    expect(page.locator("#cards .name")).to_have_text(["1.png", "2.png"])
    page.locator("#truth").select_option("all")
    expect(page.locator("#cards .name")).to_have_count(5)
    page.goto(page.url.partition("#")[0] + "#summary")
    page.get_by_role("link", name="1 input: true class cat, predicted cat").click()
    expect(page.locator("#cards .name")).to_have_text(["0.png"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_table_is_accessible_and_fits(open_report, document, scheme, width):
    """No serious violation in the summary, the gallery and the view of an image; no part is wider than the page."""
    page = open_report(document, color_scheme=scheme, viewport={"width": width, "height": 800})
    has_axe = Path(AXE).is_file()
    if has_axe:
        page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    for fragment in ("#summary", "#", "#entry=2", "#entry=5"):
        page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        violations = page.evaluate("axe.run().then((result) => result.violations)") if has_axe else []
        assert [v["id"] for v in violations if v["impact"] in ("serious", "critical")] == []
    if not has_axe:
        pytest.skip("axe-core is not installed; GRADCAM_AXE may contain the path of axe.min.js")


def test_report_without_truth_has_no_such_filters(open_report):
    page = open_report(make_document([make_entry()]))
    expect(page.locator("#truth")).to_have_count(0)
    expect(page.locator("#cards a")).to_have_count(1)
