"""The explorer in a browser with models of volumes, films and signals: slider, keys, axes, play, and lines."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import chromium
import explorer_server
import keras
import numpy as np
import pytest
from explorer_server import MAP, expect, run_server, shown
from keras import layers as L  # noqa: N812
from PIL import Image

pytestmark = pytest.mark.extended

browser, open_page = chromium.browser, explorer_server.open_page
AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"
RNG = np.random.default_rng(2)


def save_network(path, shape, convolution, pooling):
    keras.utils.set_random_seed(4)
    x = keras.Input(shape)
    A = convolution(4, 3, padding="same", activation="relu", name="conv")(x)
    A = convolution(4, 3, padding="same", activation="relu", name="last")(A)
    keras.Model(x, L.Dense(2, activation="softmax")(pooling()(A))).save(path)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """The address of a server of a volume of 10 slices of 16 x 20 voxels, and of a film of 6 frames."""
    folder = tmp_path_factory.mktemp("volumes")
    (folder / "inputs").mkdir()
    save_network(folder / "net.keras", (10, 16, 20, 1), L.Conv3D, L.GlobalAveragePooling3D)
    np.save(folder / "inputs" / "a.npy", RNG.normal(size=(10, 16, 20)).astype(np.float32))
    first, *others = [Image.fromarray(RNG.integers(0, 256, (16, 20), np.uint8)) for _ in range(6)]
    first.save(folder / "inputs" / "b.gif", save_all=True, append_images=others, duration=100)
    with run_server(folder / "inputs", "--model", folder / "net.keras") as (_, address):
        yield address


@pytest.fixture(scope="module")
def signals(tmp_path_factory):
    """The address of a server of a signal of two channels."""
    folder = tmp_path_factory.mktemp("signals")
    (folder / "inputs").mkdir()
    save_network(folder / "net.keras", (32, 2), L.Conv1D, L.GlobalAveragePooling1D)
    np.save(folder / "inputs" / "a.npy", RNG.normal(size=(80, 2)).astype(np.float32))
    with run_server(folder / "inputs", "--model", folder / "net.keras") as (_, address):
        yield address


def number_of(page):
    return int(re.search(r"(?:slice|frame) (\d+) of", page.locator("#stop").inner_text())[1])


def caption(page):
    return page.locator(".caption span")


def test_keys_and_slider_move_through_the_slices(open_page, volumes):
    """From the peak on; the picture, its caption, the address and the slider agree."""
    page = shown(open_page(volumes))
    peak = number_of(page)
    expect(page.locator("#to-peak")).to_be_hidden()
    key, number = (".", peak + 1) if peak < 9 else (",", peak - 1)
    page.keyboard.press(key)
    expect(caption(page)).to_contain_text(f"slice {number} of 10")
    expect(page.locator("#stop")).to_have_text(f"slice {number} of 10")
    assert f"slice={number}" in page.url
    assert page.locator("img.photo").get_attribute("src").endswith(f"picture?axis=0&slice={number}")
    page.locator("#slice").fill("4")
    expect(caption(page)).to_contain_text("slice 4 of 10")
    page.wait_for_url("**slice=4**")  # written after a pause: a drag is one entry of the history
    page.reload()
    shown(page)
    expect(caption(page)).to_contain_text("slice 4 of 10")
    page.locator(MAP).focus()
    page.keyboard.press("m")
    expect(caption(page)).to_contain_text(f"slice {peak} of 10")
    expect(page.locator(".readout")).to_contain_text("% of the highest value")


def test_another_axis_starts_at_its_peak(open_page, volumes):
    page = shown(open_page(f"{volumes}#image=0&slice=0"))
    page.locator("#axis").select_option("columns (x)")
    expect(caption(page)).to_contain_text(re.compile(r"slice \d+ of 20"))
    expect(page.locator("#to-peak")).to_be_hidden()
    page.keyboard.press("j")  # the film has no axes
    expect(caption(page)).to_contain_text(re.compile(r"frame \d of 6"))
    expect(page.locator("#axis")).to_be_hidden()


def test_a_film_is_played(open_page, volumes):
    page = shown(open_page(f"{volumes}#image=1&slice=0"))
    page.locator("#play").click()
    expect(caption(page)).to_contain_text("frame 3 of 6")
    page.locator("#play").click()
    paused = number_of(page)
    page.wait_for_timeout(400)
    assert number_of(page) == paused


def test_a_slow_method_is_computed_once_for_all_slices(open_page, volumes):
    page = open_page(f"{volumes}#image=0&slice=3&methods=occlusion")
    page.get_by_role("button", name="Compute", exact=True).click()
    expect(caption(page)).to_contain_text("slice 3 of 10")
    page.keyboard.press(".")
    expect(caption(page)).to_contain_text("slice 4 of 10")


def test_a_signal_is_a_colored_line_with_a_readout(open_page, signals):
    page = shown(open_page(signals))
    expect(page.locator(".frame.signal .whole")).to_have_count(2)
    assert page.locator(".frame.signal path").count() > 2
    box = page.locator(MAP).bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"] + 1, box["y"] + 20)
    expect(page.locator(".readout")).to_contain_text(re.compile(r"sample 4\d of 80 · values .*, .* · map "))
    for hidden in ("#scroll", "#contours"):
        expect(page.locator(hidden)).to_be_hidden()


def test_dropped_files_are_those_of_the_model(open_page, signals):
    page = shown(open_page(signals))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((32, 2), np.float32))
    assert ".wav" in page.locator("#file").get_attribute("accept")
    files = [
        {"name": "new.npy", "mimeType": "application/octet-stream", "buffer": buffer.getvalue()},
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n"},
    ]
    page.locator("#file").set_input_files(files)
    expect(page.locator("#title")).to_have_text("new.npy")


@pytest.mark.skipif(not Path(AXE).is_file(), reason="axe-core is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(open_page, volumes, signals, scheme):
    for address in (volumes, f"{volumes}#image=1&slice=0", signals):
        page = shown(open_page(address, color_scheme=scheme, bypass_csp=True))
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run()")["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
