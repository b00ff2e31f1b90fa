"""The explorer in a browser: classes, contrast, layers, methods, the pointer, the look, depth t, two models."""

from __future__ import annotations

import base64
import json

import chromium
import explorer_server
import numpy as np
import pytest
from explorer_server import MAP, SAMPLES, expect, run_server, shown

pytestmark = pytest.mark.extended

browser, open_page = chromium.browser, explorer_server.open_page
photos, server = explorer_server.photos, explorer_server.server
CAT = "#image=1"


def titles(page):
    return page.locator(".caption b")


def test_click_on_a_class_explains_it(open_page, server):
    page = shown(open_page(server + CAT))
    expect(titles(page)).to_have_text("cat, 97.5 %")
    page.locator(".bars button").nth(1).click()
    name = page.locator(".bars .bar-name").nth(1).inner_text()
    expect(titles(page)).to_contain_text(f"{name}, ")
    expect(page.locator(".bars [aria-pressed=true]")).to_contain_text(name)
    page.keyboard.press("1")
    expect(titles(page)).to_have_text("cat, 97.5 %")


def test_any_class_is_found(open_page, server):
    """The search covers all classes; the found class joins the predictions with its probability."""
    page = shown(open_page(server + CAT))
    page.keyboard.press("f")
    page.keyboard.type("fro")
    page.keyboard.press("Enter")  # at once: the answer for the typed text is awaited
    expect(titles(page)).to_contain_text("frog, ")
    expect(page.locator(".bars button", has_text="frog").locator(".value")).to_contain_text("%")


def test_map_of_zeros_is_said_in_words(open_page, server):
    """No position of the cat speaks for `automobile` (class 1): the page says so instead of a photo without colors."""
    page = shown(open_page(f"{server}{CAT}&class.m0=1"))
    expect(page.locator(".panel .notice")).to_contain_text("The map is zero everywhere: no positive value")


def test_contrast_with_another_class(open_page, server):
    """Why A and not B: the caption names both, and a method without a contrast says so."""
    page = shown(open_page(f"{server}{CAT}&methods=gradcam,eigencam"))
    expect(page.locator(MAP)).to_have_count(2)
    page.get_by_role("combobox", name="Contrast with a class of mini").fill("dog")
    page.get_by_role("option", name="dog").click()
    expect(titles(page).first).to_have_text("cat and not dog")
    expect(page.locator(".contrast")).to_have_text("Why cat and not dog?")
    expect(page.locator(".message:visible")).to_have_text("eigencam shows one class; it cannot contrast two.")
    expect(page.locator("#command-text")).to_contain_text("--against")
    page.get_by_role("combobox", name="Find a class of mini").fill("dog")
    page.get_by_role("option", name="dog").click()
    expect(page.locator(".contrast")).to_have_text("Why dog and not")  # a class has no contrast with itself
    expect(page.locator(MAP)).to_have_count(2)


def test_contrast_begins_with_the_predictions(open_page, server):
    """Without a text, the classes of the predictions are offered, except the explained one."""
    page = shown(open_page(server + CAT))
    predicted = page.locator(".bars .bar-name").all_inner_texts()
    page.get_by_role("combobox", name="Contrast with a class of mini").focus()
    expect(page.locator(".why [role=option]")).to_have_text(predicted[1:])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(titles(page)).to_have_text(f"cat and not {predicted[1]}")
    page.get_by_label("No contrast").click()
    expect(titles(page)).to_have_text("cat, 97.5 %")


def test_strip_chooses_the_layer(open_page, server):
    """The strip runs from the input to the output, at most twelve layers; all others are in the list."""
    page = shown(open_page(server + CAT))
    layers = page.locator(".strip button")
    expect(layers).to_have_count(12)
    expect(page.locator(".strip .stale")).to_have_count(0)
    drawn = "(canvases) => canvases.filter((canvas) => canvas.width > 1 && canvas.width <= 80).length"
    assert page.locator(".strip canvas").evaluate_all(drawn) == 12
    layers.first.click()
    expect(page.locator(".caption span")).to_have_text("gradcam · block1_conv2")
    page.keyboard.press("]")
    expect(page.locator(".strip [aria-pressed=true] .hidden")).to_have_text("block1_pool")
    page.get_by_label("Layer of mini").select_option("block1_conv1")
    expect(page.locator(".caption span")).to_have_text("gradcam · block1_conv1")
    expect(page.locator(".strip [aria-pressed=true]")).to_have_count(0)


def test_slow_method_is_computed_on_demand(open_page, server):
    page = shown(open_page(server + CAT))
    page.get_by_text("Slower, computed on demand").click()
    page.locator("input[value=scorecam]").check()
    expect(page.locator(".message:visible")).to_contain_text("scorecam takes one forward pass per channel.")
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(MAP)).to_have_count(2)


def test_slow_map_can_be_cancelled(open_page, server):
    """A computation shows its seconds; after Cancel it is offered anew, and its answer is not waited for."""
    page = shown(open_page(f"{server}{CAT}&methods=gradcam,occlusion"))
    page.route("**/api/map?*occlusion*", lambda route: None)  # no answer
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(".message:visible")).to_contain_text("Computing, 1 s")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Compute")).to_be_visible()


def test_error_of_the_server_is_shown_with_its_hint(open_page, server):
    page = shown(open_page(server + CAT))
    body = json.dumps({"error": "out of memory", "hint": "use a smaller image"})
    page.route("**/api/map?*layercam*", lambda route: route.fulfill(status=503, body=body))
    page.locator("input[value=layercam]").check()
    expect(page.locator(".message:visible")).to_contain_text("out of memory")
    expect(page.locator(".message:visible")).to_contain_text("use a smaller image")
    page.unroute("**/api/map?*layercam*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(MAP)).to_have_count(2)


@pytest.fixture
def ramp(open_page, server):
    """A page whose map is 0 on the left edge and 1 on the right one, in 101 columns, with the largest value 8."""
    values = np.tile(np.linspace(0, 1, 101, dtype="<f4"), (101, 1))
    numbers = {"width": 101, "height": 101, "values": base64.b64encode(values.tobytes()).decode()}

    def answer(route):
        changes = {**numbers, "limit": 1, "largest": 8, "peak": [0.995, 0.5], "is_zero": False, "note": None}
        response = route.fetch()
        route.fulfill(response=response, json={**response.json(), **changes})

    return shown(open_page(server + CAT, {"**/api/map?*": answer}, viewport={"width": 1280, "height": 800}))


@pytest.fixture
def requests_of(ramp):
    requests = []
    ramp.wait_for_load_state("networkidle")
    ramp.on("request", lambda request: "alive" in request.url or requests.append(request.url))
    return requests


def test_value_under_the_pointer(ramp):
    """Half way from the left: half of the largest value, 8; without a pointer, the largest value."""
    readout = ramp.locator(".readout")
    expect(readout).to_have_text("highest value 8")
    box = ramp.locator(MAP).bounding_box()
    ramp.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    expect(readout).to_have_text("value 4, 50 % of the highest value")
    ramp.mouse.move(2, 2)
    expect(readout).to_have_text("highest value 8")


def test_arrow_keys_move_the_pointer(ramp):
    """From the middle, two steps of 2 % to the right, and one of 10 % with Shift."""
    ramp.locator(MAP).focus()
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowRight"):
        ramp.keyboard.press(key)
    expect(ramp.locator("#spoken")).to_contain_text("64 % of the highest value")
    ramp.keyboard.press("m")
    expect(ramp.locator(".readout")).to_have_text("value 8, 100 % of the highest value")
    ramp.keyboard.press("Escape")
    expect(ramp.locator(".readout")).to_have_text("highest value 8")


def test_colors_and_opacity_need_no_request(ramp, requests_of):
    """The right edge has the last color of the map at the chosen opacity; the left edge is transparent, or solid."""
    pixel = """(x) => {
      const canvas = document.querySelector(".panel canvas");
      return [...canvas.getContext("2d").getImageData(x ? canvas.width - 1 : 0, 9, 1, 1).data];
    }"""
    ramp.locator("#cmap").select_option("gray")
    ramp.locator("#opacity").fill("40")
    assert ramp.evaluate(pixel, 1) == [255, 255, 255, 102]  # 0.4 * 255
    assert ramp.evaluate(pixel, 0)[3] == 0
    ramp.locator("#constant").check()
    assert ramp.evaluate(pixel, 0) == [0, 0, 0, 102]
    ramp.locator("#contours").check()
    ramp.keyboard.press("h")
    expect(ramp.locator(".panel canvas")).to_be_hidden()
    ramp.keyboard.press("h")
    expect(ramp.locator(".panel canvas")).to_be_visible()
    assert requests_of == []


def test_command_is_copied(open_page, server):
    page = shown(open_page(server + CAT, permissions=["clipboard-read", "clipboard-write"]))
    page.get_by_label("Copy the command").click()
    expect(page.locator("#status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#command-text").inner_text()
    assert copied.startswith("gradcam /")
    assert copied.endswith("a2.png --model mini --layer block5_conv4 --class 3")


def test_keys_are_listed(open_page, server):
    page = shown(open_page(server))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("next, previous image")
    page.keyboard.press("Escape")
    expect(page.locator("#key-list")).to_be_hidden()


def test_two_models_side_by_side(open_page, photos):
    """Each model has its own predictions; a class that both have is chosen in both, layers are separate."""
    with run_server(photos, "--model", "mini", "--model", "lite0") as (_, address):
        page = open_page(address + CAT)
        expect(page.locator(MAP)).to_have_count(2, timeout=30000)
        expect(page.locator(".card h2").nth(0)).to_contain_text("mini")
        expect(page.locator(".card h2").nth(1)).to_contain_text("lite0")
        expect(page.locator(".caption span").nth(1)).to_have_text("lite0 · gradcam · top_conv")
        page.get_by_role("combobox", name="Find a class of lite0").fill("tabby")
        page.get_by_role("option", name="tabby").first.click()
        expect(titles(page).nth(1)).to_contain_text("tabby, ")
        expect(titles(page).nth(0)).to_contain_text("cat, ")


def save_ode_model(path):
    """Write an untrained classifier of RGB images of 12 x 12 pixels whose middle is an ODE."""
    import keras
    from keras import layers as L  # noqa: N812

    from gradcam_cli.neuralode import ODEBlock, ODEFunc

    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    z = ODEBlock(ODEFunc(), name="ode")(L.Conv2D(4, 3, padding="same")(image))
    keras.Model(image, L.Dense(3)(L.Flatten()(z))).save(path)


def test_depth_slider_of_a_neural_ode(open_page, tmp_path):
    """The slider sets t of the method `flow`; the command of the map contains it."""
    save_ode_model(tmp_path / "ode.keras")
    with run_server(SAMPLES, "--model", tmp_path / "ode.keras") as (_, address):
        page = open_page(f"{address}#methods=flow")
        shown(page)
        slider = page.locator(".depth input")
        expect(page.locator(".depth output")).to_have_text("1")
        slider.focus()
        slider.press("Home")
        expect(page.locator(".caption span")).to_contain_text("t = 0", timeout=20000)
        slider.press("ArrowRight")
        expect(page.locator(".caption span")).to_contain_text("t = 0.05")
        expect(page.locator("#command-text")).to_contain_text("--times 0.05")
