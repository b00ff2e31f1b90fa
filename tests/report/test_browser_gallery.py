"""The gallery in a browser: search, filters, sorting, pages, the keyboard."""

from __future__ import annotations

import re

import pytest
from report_documents import make_document, make_entry, with_maps

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

CARDS = "#cards a"


def listed_names(page):
    return [name.rpartition("/")[2] for name in page.locator("#cards .name").all_inner_texts()]


def test_search_by_name(open_report, gallery_document):
    """The search ignores case, and its results are counted; resetting the filters shows all inputs."""
    page = open_report(gallery_document)
    page.locator("#q").fill("IMG")
    expect(page.locator("#count")).to_contain_text("3 of 9")
    assert listed_names(page) == ["img1.png", "img2.png", "img10.png"]
    page.locator("#reset").click()
    expect(page.locator(CARDS)).to_have_count(9)
    page.locator("#q").fill("no such name")
    page.locator("#show-all").click()
    expect(page.locator(CARDS)).to_have_count(9)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("explained", ["img1.png", "img2.png", "x3.png", "x4.png", "img10.png", "y6.png", "z7.png"]),
        ("failed", ["bad.jpg"]),
        ("skipped", ["old.jpg"]),
        ("zero", ["img2.png"]),
        ("threshold", ["x3.png"]),
    ],
)
def test_filter_by_status(open_report, gallery_document, status, expected):
    page = open_report(gallery_document)
    page.locator("#status").select_option(status)
    assert listed_names(page) == expected


def test_filter_by_class(open_report, gallery_document):
    """A part of a class name matches several classes; a complete name matches only that class."""
    page = open_report(gallery_document)
    page.locator("#more summary").click()
    page.locator("#class").fill("t")
    expect(page.locator(CARDS)).to_have_count(5)
    page.locator("#class").fill("tiger cat")
    expect(page.locator(CARDS)).to_have_count(3)
    expect(page.locator("#classes option")).to_have_count(3)


def test_filter_by_probability(open_report, gallery_document):
    """The range includes its limits and excludes inputs without a probability."""
    page = open_report(gallery_document)
    page.locator("#more summary").click()
    page.locator("#min").fill("30")
    page.locator("#max").fill("50")
    expect(page.locator(CARDS)).to_have_count(3)
    assert listed_names(page) == ["x3.png", "x4.png", "img10.png"]


@pytest.mark.parametrize(
    ("key", "ascending", "num_without_value"),
    [
        ("name", "bad.jpg old.jpg img1.png img2.png img10.png x3.png x4.png y6.png z7.png", 0),
        ("probability", "img1.png img2.png x3.png x4.png img10.png y6.png z7.png bad.jpg old.jpg", 2),
        ("metric:deletion", "z7.png y6.png img10.png x4.png img2.png img1.png x3.png bad.jpg old.jpg", 3),
    ],
)
def test_sorting_by_name_and_value(open_report, gallery_document, key, ascending, num_without_value):
    """Numbers in names sort by value; inputs without a value come last in both directions."""
    page = open_report(gallery_document)
    page.locator("#sort").select_option(key)
    names = ascending.split()
    assert listed_names(page) == names
    page.locator("#order").select_option("descending")
    num_with_value = len(names) - num_without_value
    assert listed_names(page) == names[:num_with_value][::-1] + names[num_with_value:]


def test_gallery_is_divided_into_pages(open_report, images):
    """Each page has 48 cards, and the URL contains the page number."""
    page = open_report(make_document([make_entry(f"{n}.png", **images) for n in range(100)]))
    expect(page.locator(CARDS)).to_have_count(48)
    expect(page.locator("#previous-page")).to_be_disabled()
    page.locator("#next-page").click()
    assert listed_names(page)[0] == "48.png"
    page.locator("#page").fill("99")
    page.keyboard.press("Enter")
    assert listed_names(page) == ["96.png", "97.png", "98.png", "99.png"]
    expect(page).to_have_url(re.compile("page=3$"))
    expect(page.locator("#count")).to_contain_text("97 to 100")


def test_gallery_is_usable_by_keyboard(open_report, gallery_document):
    """Tab reaches the cards, Enter opens one, arrow keys move on, Escape returns to the card, / starts a search."""
    page = open_report(gallery_document)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#cards a')"):
            break
    expect(page.locator(CARDS).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(page.locator("#name")).to_have_text("photos/img2.png")
    page.keyboard.press("Escape")
    expect(page.locator(CARDS).nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("x/")
    expect(page.locator("#q")).to_have_value("x/")


def test_escape_shows_the_page_of_the_open_image(open_report, images):
    page = open_report(make_document([make_entry(f"{n}.png", **images) for n in range(60)]), "#entry=48")
    page.locator("#next").click()
    page.keyboard.press("Escape")
    expect(page.locator(CARDS).first).to_be_focused()
    assert listed_names(page)[0] == "48.png"


def test_previous_and_next_follow_the_filter(open_report, gallery_document):
    page = open_report(gallery_document, "#q=img")
    page.locator(CARDS).nth(1).click()
    expect(page.locator("#position")).to_contain_text("2 of 3")
    page.locator("#next").click()
    expect(page.locator("#name")).to_have_text("photos/img10.png")
    expect(page.locator("#next")).to_be_disabled()


def test_filters_and_search_know_all_maps_of_an_input(open_report, images):
    """The second class of an input is found; class and probability must be those of one map."""
    maps = {"class": "tabby", "probability": 0.9}, {"class": "dog", "probability": 0.05}
    page = open_report(make_document([with_maps(make_entry("one.png", **images), *maps), make_entry("two.png")]))
    card = page.locator(CARDS).first
    expect(card.locator(".class")).to_have_text(["cat80.0\u00a0%", "tabby90.0\u00a0%", "dog5.0\u00a0%"])
    page.locator("#q").fill("dog")
    expect(page.locator(CARDS)).to_have_count(1)
    page.locator("#q").fill("")
    page.locator("#more summary").click()
    page.locator("#class").fill("dog")
    expect(page.locator(CARDS)).to_have_count(1)
    page.locator("#min").fill("50")
    expect(page.locator(CARDS)).to_have_count(0)
    page.locator("#class").fill("tabby")
    expect(page.locator(CARDS)).to_have_count(1)


def test_card_of_a_comparison_has_the_classes_before_and_after(open_report, images):
    runs = {"run": "before", "class": "cat", "probability": 0.4}, {"run": "after", "class": "dog", "probability": 0.6}
    entry = with_maps(make_entry(**images), *runs) | {"class": "dog", "probability": 0.6}
    page = open_report(make_document([entry], command="compare", verb="compared"))
    expect(page.locator(f"{CARDS} .class")).to_have_text(["cat40.0\u00a0%", "→ dog60.0\u00a0%"])


def test_all_cards_are_printed_from_the_first_page_on(open_report, images, tmp_path):
    """Forty cards fill several pages; the first begins with cards, and every image is loaded."""
    page = open_report(make_document([make_entry(f"{number}.png", **images) for number in range(40)]))
    expect(page.locator(CARDS)).to_have_count(40)
    page.wait_for_load_state("load")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1040})
    first = page.locator(CARDS).first.bounding_box()
    assert first["y"] < 200
    document = page.pdf(format="A4")
    assert document.startswith(b"%PDF")
    assert document.count(b"/Type /Page\n") in (2, 3, 4)
