"""The explorer as a whole in a browser: tabs, reload, the end of the server, width, colors, accessibility, export."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

import chromium
import explorer_server
import pytest
from explorer_server import MAP, SAMPLES, expect, run_server, shown

pytestmark = pytest.mark.extended

browser, open_page = chromium.browser, explorer_server.open_page
photos, server = explorer_server.photos, explorer_server.server
AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"


def test_two_tabs_work_independently(open_page, server):
    first, second = shown(open_page(server)), shown(open_page(server))
    first.locator("#image-list button", has_text="a2.png").click()
    second.locator("#image-list button", has_text="a10.png").click()
    shown(first, "a2.png")
    shown(second, "a10.png")
    first.get_by_label("layercam", exact=True).check()
    expect(first.locator(MAP)).to_have_count(2)
    expect(second.locator(MAP)).to_have_count(1)
    second.reload()
    shown(second, "a10.png")
    expect(second.locator(MAP)).to_have_count(1)


def test_server_that_ends_is_reported(open_page, photos):
    """The page says that the server has stopped; what it shows stays."""
    with run_server(photos, "--model", "mini") as (process, address):
        page = shown(open_page(address))
        process.kill()
        process.wait()
        expect(page.locator("#gone")).to_contain_text("The server has stopped.", timeout=10000)
        expect(page.locator(MAP)).to_be_visible()


def test_page_recovers_with_the_server(open_page, server):
    """While requests fail, the page says so; it goes on where it was when they succeed again."""
    page = shown(open_page(server))
    page.context.set_offline(True)
    page.locator("#image-list button", has_text="a2.png").click()
    expect(page.locator("#gone")).to_be_visible()
    page.context.set_offline(False)
    expect(page.locator("#gone")).to_be_hidden(timeout=10000)
    shown(page, "a2.png")


@pytest.mark.parametrize("path", ["/", "/wrong-token/", "/wrong-token/api/session"])
def test_wrong_token_is_not_the_page(browser, server, path):
    """Without the token of the address there is neither the page nor an answer."""
    page = browser.new_page()
    response = page.goto(f"http://{urlsplit(server).netloc}{path}")
    assert response.status in (403, 404)
    assert page.locator("#explorer").count() == 0
    assert "mini" not in page.content()
    page.close()


def test_view_is_in_the_address(open_page, server):
    """Reload restores image, class, method and look; back and forward go through the changes."""
    page = shown(open_page(server))
    page.locator("#image-list button", has_text="a2.png").click()
    shown(page, "a2.png")
    name = page.locator(".bars .bar-name").nth(1).inner_text()
    page.locator(".bars button").nth(1).click()
    expect(page.locator(".caption b")).to_contain_text(f"{name}, ")
    page.locator("#cmap").select_option("gray")
    page.reload()
    shown(page, "a2.png")
    expect(page.locator(".caption b")).to_contain_text(f"{name}, ")
    expect(page.locator("#cmap")).to_have_value("gray")
    page.go_back()
    expect(page.locator("#cmap")).to_have_value("viridis")
    page.go_back()
    expect(page.locator(".caption b")).to_contain_text("cat, ")
    page.go_forward()
    expect(page.locator(".caption b")).to_contain_text(f"{name}, ")


def test_address_of_unknown_things_opens(open_page, server):
    """Unknown models, layers, methods and colors are ignored; an unknown image is said."""
    unknown = "models=x&layer.m0=x&methods=x,__proto__&cmap=__proto__&opacity=x&t.m0=x&nothing=1"
    page = shown(open_page(f"{server}#image=1&{unknown}"))
    expect(page.locator(MAP)).to_have_count(1)
    page.goto(f"{server}#image=unknown")
    expect(page.locator(".message")).to_contain_text("the image is not known")


@pytest.mark.parametrize("fragment", ["", "#methods=gradcam,layercam,scorecam&class.m0=3&against.m0=5"])
def test_narrow_screen_needs_no_horizontal_scrolling(open_page, server, fragment):
    page = shown(open_page(server + fragment, viewport={"width": 360, "height": 740}))
    expect(page.locator(".bars button")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_colors_follow_the_system(open_page, server):
    brightness = {}
    for scheme in ("light", "dark"):
        page = open_page(server, color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness[scheme] = sum(map(int, re.findall(r"\d+", color)))
    assert brightness["dark"] < 380 < brightness["light"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_serious_accessibility_violation(open_page, server, scheme):
    """axe-core reports no serious violation: with maps, a class search, a question, a message, and the list of keys."""
    if not Path(AXE).is_file():
        pytest.skip("axe-core is not installed; GRADCAM_AXE may contain the path of axe.min.js")
    page = shown(open_page(f"{server}#methods=gradcam,scorecam&image=1", color_scheme=scheme))
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    steps = [
        lambda: None,
        lambda: page.keyboard.press("f") or expect(page.locator(".class-search li").first).to_be_visible(),
        lambda: page.keyboard.press("Enter") or page.set_input_files("#file", SAMPLES / "SOURCES.md"),
        lambda: page.evaluate("byId = document.getElementById('gone'); byId.hidden = false; byId.textContent = 'gone'"),
        lambda: page.keyboard.press("Escape") or page.locator("#list-keys").click(),
    ]
    for number, step in enumerate(steps):
        step()
        page.wait_for_timeout(300)
        violations = page.evaluate("axe.run().then((result) => result.violations)")
        serious = [(v["id"], v["nodes"][0]["html"]) for v in violations if v["impact"] in ("serious", "critical")]
        assert serious == [], number


def test_report_opens_from_disk(open_page, server, browser, tmp_path):
    """The saved report contains the shown maps, and opens without the server."""
    page = shown(open_page(f"{server}#image=1&methods=gradcam,layercam"))
    expect(page.locator(MAP)).to_have_count(2)
    with page.expect_download() as download:
        page.locator("#save").click()
    shutil.unpack_archive(shutil.copy(download.value.path(), tmp_path / "report.zip"), tmp_path / "report")
    saved = browser.new_page()
    saved.goto(next((tmp_path / "report").rglob("index.html")).as_uri())
    saved.locator("#cards a").first.click()
    expect(saved.locator("#map-method option")).to_have_text(["gradcam", "layercam"])
    saved.close()
