"""Clickable predictions, one search over names and classes, quick filters, names, keys and prints, in a browser."""

from __future__ import annotations

import re

import pytest
from report_documents import INJECTIONS, make_document, make_entry, make_failure, make_map, with_maps

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

CARDS = "#cards a"


@pytest.fixture
def predicted(images):
    """An image with maps of two of its three predicted classes."""
    predictions = [["cat", 0.8, 281], ["dog", 0.1, 200], [INJECTIONS[0], 0.05, 7]]
    maps = {"command": "gradcam a.png --class 281"}, {"class": "dog", "command": "gradcam a.png --class 200"}
    return with_maps(make_entry(**images, predictions=predictions), *maps)


def test_click_on_a_prediction_shows_its_map(open_report, predicted):
    page = open_report(make_document([predicted]), "#entry=1")
    expect(page.get_by_role("button", name="cat")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="dog").click()
    expect(page.locator("#viewer figcaption")).to_have_text(re.compile("^dog · "))
    expect(page.get_by_role("button", name="dog")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="dog")).to_be_focused()
    expect(page).to_have_url(re.compile("map=2"))


def test_prediction_without_a_map_offers_its_command(open_report, predicted):
    """Reached by the keyboard; another image clears it. A group of classes has no index, so there is no command."""
    entries = [predicted, with_maps(make_entry("b.png", predictions=[["cow", 0.5, 3]]), {"command": "g --class 'c*'"})]
    page = open_report(make_document(entries), "#entry=1", permissions=["clipboard-read", "clipboard-write"])
    button = page.get_by_role("button", name=INJECTIONS[0])
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#wanted")).to_contain_text(f"The run has no map of {INJECTIONS[0]}.")
    expect(page.locator("#wanted pre")).to_have_text("gradcam a.png --class 7")
    page.locator("#wanted button").click()
    expect(page.locator("#wanted-copied")).to_have_text("✓ Copied the command.")
    assert page.evaluate("navigator.clipboard.readText()") == "gradcam a.png --class 7"
    page.locator("#next").click()
    expect(page.locator("#wanted")).to_be_empty()
    expect(page.locator("#predictions")).to_contain_text("cow")
    expect(page.locator("#predictions button")).to_have_count(0)


def test_one_search_finds_names_and_all_classes(open_report):
    """The explained, the predicted and the true class; not the further predictions."""
    truth = {"state": "wrong", "true": "lynx", "predicted": "tabby", "unknown": None, "probability": 0.1, "rank": 2}
    fields = {"predictions": [["tabby", 0.5, 1], ["fox", 0.2, 2]], "truth": truth}
    page = open_report(make_document([make_entry("photo.png", **fields), make_entry("b.png")]))
    for text, count in [("cat", 2), ("TABBY", 1), ("lynx", 1), ("photo", 1), ("fox", 0), ("", 2)]:
        page.locator("#q").fill(text)
        expect(page.locator(CARDS)).to_have_count(count)


def test_quick_filters_have_their_counts(open_report, gallery_document):
    page = open_report(gallery_document)
    expect(page.locator("#quick a")).to_have_text(
        ["least certain first", "failed thresholds 1", "zero maps 1", "failed 1"]
    )
    page.get_by_role("link", name="zero maps 1").click()
    expect(page.locator(f"{CARDS} .name")).to_have_text(["photos/img2.png"])
    expect(page.locator("#status")).to_have_value("zero")
    page.get_by_role("link", name="zero maps 1").click()
    expect(page.locator(CARDS)).to_have_count(9)


def test_least_certain_predictions_come_first(open_report):
    """By the probability of the prediction, not by that of the explained class."""
    probabilities = {"a.png": 0.9, "b.png": 0.3, "c.png": 0.6}
    entries = [make_entry(name, predictions=[["cat", p, 1]], probability=0.1) for name, p in probabilities.items()]
    page = open_report(make_document([*entries, make_failure("d.png")]))
    page.get_by_role("link", name="least certain first").click()
    expect(page.locator(f"{CARDS} .name")).to_have_text(["b.png", "c.png", "a.png", "d.png"])


def test_cards_say_what_differs(open_report, images):
    """Method, layer and model that all cards share are above them, and so is the common folder."""
    entries = [make_entry(f"/data/photos/{name}.png", **images) for name in "ab"]
    page = open_report(make_document(entries))
    expect(page.locator("#common")).to_have_text("in /data/photos/ · gradcam · conv 14x14 · vgg19")
    expect(page.locator(f"{CARDS} .name")).to_have_text(["a.png", "b.png"])
    assert not re.search("explained|vgg19|gradcam", page.locator("#cards").inner_text())
    entries[1]["maps"] = [make_map(method="layercam")]
    page = open_report(make_document(entries))
    expect(page.locator("#common")).to_have_text("in /data/photos/ · conv 14x14 · vgg19")
    expect(page.locator(f"{CARDS} .drawn")).to_have_text(["gradcam", "layercam"])


def test_long_names_are_cut_in_the_middle(open_report):
    """The beginnings and the ends of the folder and of the file remain; the title has the whole name."""
    folder, file = f"first{'x' * 60}last", f"IMG{'y' * 60}0042.jpeg"
    page = open_report(make_document([make_entry(f"{folder}/{file}"), make_entry("other.png")]))
    card = page.locator(f"{CARDS} .name").first
    expect(card).to_have_text(re.compile(r"^firstx+…x+last/IMGy+…y+0042\.jpeg$"))
    assert len(card.inner_text()) <= 60
    expect(card).to_have_attribute("title", f"{folder}/{file}")


def test_question_mark_lists_the_keys(open_report, gallery_document):
    page = open_report(gallery_document)
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("previous or next image")
    page.keyboard.press("/")
    expect(page.locator("#q")).not_to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.locator("#q").press_sequentially("?")
    expect(dialog).to_be_hidden()
    page.locator("#show-keys").click()
    page.locator("#close-keys").click()
    expect(dialog).to_be_hidden()


def test_print_has_the_cards_of_all_pages(open_report, images):
    """All cards that pass the filter, with loaded images, in light colors; afterwards the page is as before."""
    entries = [make_entry(f"{number}.png", **images) for number in range(130)]
    page = open_report(make_document(entries), "#q=1&page=2", color_scheme="dark")
    page.evaluate("print = () => { document.body.dataset.printed = document.querySelectorAll('#cards img').length; }")
    page.locator("#print").click()
    matching = sum("1" in str(number) for number in range(130))
    expect(page.locator("body")).to_have_attribute("data-printed", str(matching))
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for control in ("#filters", "#quick", "#pager", "#print", "#show-keys"):
        expect(page.locator(control)).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    expect(page.locator(CARDS)).to_have_count(matching - 48)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")  # as the menu of the browser does
    expect(page.locator(CARDS)).to_have_count(matching)
