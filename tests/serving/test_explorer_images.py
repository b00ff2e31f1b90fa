"""The explorer in a browser: images of the directory, dropped, pasted and chosen ones, their names and errors."""

from __future__ import annotations

import base64

import chromium
import explorer_server
import pytest
from explorer_server import MAP, SAMPLES, expect, run_server, shown

pytestmark = pytest.mark.extended

browser, open_page = chromium.browser, explorer_server.open_page
photos, server = explorer_server.photos, explorer_server.server
HAND_OVER = """([name, data, kind]) => {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  const event = kind === "paste" ? new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true })
    : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
  document.body.dispatchEvent(event);
}"""


def hand_over(page, kind, name, data):
    """Drop or paste a file on the page."""
    page.evaluate(HAND_OVER, [name, base64.b64encode(data).decode(), kind])


def names(page):
    return page.locator("#image-list .hidden").all_inner_texts()


def test_first_image_opens_and_names_sort_by_number(open_page, server):
    page = shown(open_page(server), "<img src=x onerror=pwned=1>.png")
    assert names(page) == ["<img src=x onerror=pwned=1>.png", "a2.png", "a10.png", "broken.png"]
    page.locator("#image-list button", has_text="a2.png").click()
    shown(page, "a2.png")
    expect(page.locator("#image-list [aria-current]")).to_contain_text("a2.png")
    expect(page.locator(".caption b")).to_contain_text("cat, ")
    assert page.title() == "a2.png – gradcam"


def test_names_are_text(open_page, server):
    """The name of a file of the directory, and that of an upload, run no script."""
    page = shown(open_page(server))
    name = '"><img src=x onerror=window.pwned=1>.png'
    hand_over(page, "drop", name, (SAMPLES / "coffee.png").read_bytes())
    shown(page, name)
    assert names(page)[0] == name
    expect(page.locator("#command-text")).to_contain_text("onerror=window.pwned=1")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("[onerror]").count() == 0


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_file_is_opened(open_page, server, kind):
    page = shown(open_page(server))
    hand_over(page, kind, "rocket.jpg", (SAMPLES / "rocket.jpg").read_bytes())
    shown(page, "rocket.jpg")
    expect(page.locator("#drop")).to_be_hidden()


def test_chosen_file_stays_after_reload(open_page, server):
    page = shown(open_page(server))
    page.set_input_files("#file", SAMPLES / "rocket.jpg")
    shown(page, "rocket.jpg")
    page.reload()
    shown(page, "rocket.jpg")


def test_file_that_is_no_image_is_refused_in_words(open_page, server):
    page = shown(open_page(server))
    hand_over(page, "drop", "notes.txt", b"no image")
    expect(page.locator("#status")).to_contain_text("notes.txt")
    expect(page.locator(MAP)).to_be_visible()


def test_damaged_image_says_why(open_page, server):
    page = shown(open_page(server))
    page.locator("#image-list button", has_text="broken.png").click()
    expect(page.locator(".message")).to_contain_text("broken.png")
    expect(page.locator(MAP)).to_have_count(0)
    page.locator("#image-list button", has_text="a2.png").click()
    shown(page, "a2.png")


def test_large_file_is_not_sent(open_page, server):
    """A file above the limit of the server is refused by the page."""
    page = shown(open_page(server))
    page.evaluate("""() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([new Uint8Array(70e6)], "large.png"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }""")
    expect(page.locator("#status")).to_have_text("large.png has 70.0 MB; files of up to 67.1 MB can be opened.")


def test_search_by_name(open_page, server):
    page = shown(open_page(server))
    page.keyboard.press("/")
    page.keyboard.type("A1")
    expect(page.locator("#image-count")).to_have_text("1 found")
    assert names(page) == ["a10.png"]
    page.locator("#image-query").fill("no such name")
    expect(page.locator("#image-count")).to_have_text("No image has this name.")


def test_thousands_of_images_are_paged(open_page, tmp_path):
    """The page lists 60 of 2,000 images; the keys of the next and previous image cross its borders."""
    for number in range(2000):
        (tmp_path / f"{number}.png").symlink_to(SAMPLES / "coffee.png")
    with run_server(tmp_path, "--model", "mini") as (_, address):
        page = shown(open_page(address), "0.png")
        expect(page.locator("#image-list button")).to_have_count(60)
        page.locator("#images-after").click()
        expect(page.locator("#image-range")).to_have_text("61–120 of 2000")
        page.locator("#image-list button", has_text="60.png").first.click()
        shown(page, "60.png")
        page.keyboard.press("k")
        shown(page, "59.png")
        expect(page.locator("#image-list [aria-current]")).to_be_in_viewport(ratio=1)
        assert page.evaluate("scrollY") == 0  # only the list is scrolled
        page.keyboard.press("j")
        shown(page, "60.png")
        page.reload()
        expect(page.locator("#image-range")).to_have_text("61–120 of 2000")  # the page of the list stays, too
        expect(page.locator("#image-list [aria-current]")).to_contain_text("60.png")


def test_page_without_directory_asks_for_a_photo(open_page):
    with run_server("--model", "mini") as (_, address):
        page = open_page(address)
        expect(page.get_by_text("Drop a photo here")).to_be_visible()
        hand_over(page, "drop", "chelsea.png", (SAMPLES / "chelsea.png").read_bytes())
        shown(page, "chelsea.png")
        expect(page.locator("#welcome")).to_be_hidden()
