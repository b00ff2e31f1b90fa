"""Moving through slices, frames and samples in the view of one input."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from report_documents import make_document, make_entry, make_levels, make_map

from gradcam_cli.reporting.sheets import encode_sheet
from gradcam_cli.reporting.signal_lines import encode_signal

pytestmark = pytest.mark.extended
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

D, H, W = 6, 8, 10
PEAK = [7, 2, 4]
LEVELS = {**make_levels([[0, 255], [0, 0], [0, 0], [0, 102]]), "height": 2, "depth": 2}
"""Two cells along each axis: 1 in the upper right of the first slices, 0.4 in the lower right of the last ones."""


def grays(axis):
    """Slices of one gray each: 20 times their number."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    values = 20 * np.arange((D, H, W)[axis], dtype=np.uint8).reshape(shape)
    return np.broadcast_to(values, (D, H, W, 3))


@pytest.fixture
def document(tmp_path):
    """A volume with two axes, a film, a signal with two channels, and an image."""
    (tmp_path / "report").mkdir()
    sheets = []
    for axis, length in enumerate((D, H)):
        sheet = encode_sheet(grays(axis), axis, range(length))
        path = f"report/slices{axis}.{sheet.image_format}"
        (tmp_path / path).write_bytes(sheet.data)
        grid = {"columns": sheet.columns, "width": sheet.width, "height": sheet.height}
        sheets.append({"axis": axis, "path": path, "numbers": list(range(length)), **grid})
    map_ = {"levels": LEVELS, "peak": PEAK, "box": [5, 0, 3, 10, 4, 6], "profiles": [[1] * 5 + [0.5], [1] * H]}
    shared = {"image": None, "size": [W, H, D], "signal": None}
    volume = {**shared, "kind": "volume", "spacing": [2.5, 1, 1], "sheets": sheets, "maps": [make_map(**map_)]}
    film = {**volume, "kind": "film", "spacing": [0.05, 0, 0], "sheets": sheets[:1]}
    values = np.stack([np.arange(100), -np.arange(100)], axis=1).astype(np.float32)
    line = {"levels": {**make_levels([[0, 255, 0, 0]])}, "peak": [37], "box": [25, 50]}
    del line["levels"]["height"]
    signal = {**shared, "kind": "signal", "spacing": [0.5], "sheets": [], "signal": encode_signal(values)}
    entries = [
        make_entry("volume.nii", **volume),
        make_entry("film.mp4", **film),
        make_entry("signal.wav", **{**signal, "size": [100]}, maps=[make_map(**line)]),
        make_entry("a.png"),
    ]
    return make_document(entries)


def gray_at_edge(page):
    """The gray that the frame shows near its left edge, where a neighbor in the sheet must not blend in."""
    page.locator("#opacity").fill("0")
    frame = page.locator("#viewer .frame").bounding_box()
    clip = {"x": frame["x"] + 1, "y": frame["y"] + 40, "width": 2, "height": 2}
    return int(np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("L"))[1, 1])


def test_volume_starts_at_the_slice_of_its_peak(open_report, document):
    """The sheet is moved so that the frame shows this slice; the caption has its number and its place."""
    page = open_report(document, "#entry=1")
    expect(page.locator("#stop")).to_have_text("slice 4 of 6 · z = 10 mm")
    expect(page.locator("#slice")).to_have_attribute("aria-valuetext", "slice 4 of 6 · z = 10 mm")
    assert gray_at_edge(page) == pytest.approx(80, abs=1)
    for key, number in (("Home", 0), ("ArrowRight", 1), ("End", 5), ("ArrowLeft", 4)):
        page.locator("#slice").press(key)
        expect(page.locator("#stop")).to_have_text(f"slice {number} of 6 · z = {2.5 * number:g} mm")
        assert gray_at_edge(page) == pytest.approx(20 * number, abs=1)
    expect(page).to_have_url(re.compile("slice=4"))


def test_another_axis_has_its_slices(open_report, document):
    page = open_report(document, "#entry=1")
    page.locator("#axis").select_option("rows (y)")
    expect(page.locator("#stop")).to_have_text("slice 2 of 8 · y = 2 mm")
    frame = page.locator("#viewer .frame").bounding_box()
    assert frame["width"] / frame["height"] == pytest.approx(W / (D * 2.5), abs=0.01)
    assert gray_at_edge(page) == pytest.approx(40, abs=1)
    page.go_back()
    page.go_back()
    expect(page.locator("#stop")).to_have_text("slice 4 of 6 · z = 10 mm")


def test_values_are_those_of_the_slice(open_report, document):
    """At the centers of cells: 1 in the first half of the slices, 0.4 in the last; between the centers their mean."""
    page = open_report(document, "#entry=1&slice=0")

    def percent(x, y):
        frame = page.locator("#viewer .frame").bounding_box()
        page.mouse.move(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
        return float(re.search(r"([\d.]+) % of", page.locator("#value").inner_text())[1])

    assert percent(0.75, 0.25) == pytest.approx(100, abs=0.5)
    assert page.locator("#value").inner_text().startswith("x 7, y 2:")
    assert percent(0.75, 0.75) == pytest.approx(0, abs=0.5)
    page.locator("#slice").fill("5")
    assert percent(0.75, 0.75) == pytest.approx(40, abs=0.5)
    page.locator("#slice").fill("2")  # its center is at 2.5 / 6, a third of the way from 0.25 to 0.75
    assert percent(0.75, 0.25) == pytest.approx(100 * 2 / 3, abs=0.5)


def test_slices_outside_the_model_input_have_no_map(open_report, document):
    """The cells cover the first half of the slices, and the first eight of ten columns."""
    document["entries"][0]["maps"][0]["levels"] = {**LEVELS, "box": [0, 0, 0, 0.8, 1, 0.5]}
    for fragment, x, y, text in (
        ("slice=0", 0.6, 0.25, "100.0 %"),
        ("slice=0", 0.9, 0.25, "outside"),
        ("slice=4", 0.6, 0.25, "outside"),
        ("axis=1&slice=0", 0.6, 0.1, "100.0 %"),
        ("axis=1&slice=0", 0.6, 0.75, "outside"),
    ):
        page = open_report(document, f"#entry=1&{fragment}")
        frame = page.locator("#viewer .frame").bounding_box()
        page.mouse.move(frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
        expect(page.locator("#value")).to_contain_text(text)


def test_wheel_keys_and_curve_move_through_the_slices(open_report, document):
    page = open_report(document, "#entry=1")
    page.locator("#viewer .frame").hover()
    page.mouse.wheel(0, -40)
    expect(page.locator("#stop")).to_contain_text("slice 3 of 6")
    page.mouse.wheel(0, 80)
    expect(page.locator("#stop")).to_contain_text("slice 5 of 6")
    page.keyboard.press(",")
    expect(page.locator("#stop")).to_contain_text("slice 4 of 6")
    page.keyboard.press(".")
    expect(page.locator("#stop")).to_contain_text("slice 5 of 6")
    curve = page.locator("#profile").bounding_box()
    page.locator("#profile").click(position={"x": 0.21 * curve["width"], "y": 10})
    expect(page.locator("#stop")).to_contain_text("slice 1 of 6")
    frame = page.locator("#viewer .frame").bounding_box()
    x, y = frame["x"] + 10, frame["y"] + frame["height"] - 20
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 0.4 * frame["width"], y)
    page.mouse.up()
    expect(page.locator("#stop")).to_contain_text("slice 3 of 6")


def test_marks_are_in_their_slices(open_report, document):
    """The peak is in slice 4, the box in the slices 3 to 5."""
    page = open_report(document, "#entry=1&peak=1&box=1")
    peak, box = page.locator("#viewer .peak"), page.locator("#viewer .box")
    expect(peak).to_be_visible()
    frame, mark = page.locator("#viewer .frame").bounding_box(), peak.bounding_box()
    assert mark["x"] + mark["width"] / 2 - frame["x"] == pytest.approx(7.5 / W * frame["width"], abs=1)
    assert mark["y"] + mark["height"] / 2 - frame["y"] == pytest.approx(2.5 / H * frame["height"], abs=1)
    page.locator("#slice").fill("3")
    expect(peak).to_be_hidden()
    expect(box).to_be_visible()
    page.locator("#slice").fill("2")
    expect(box).to_be_hidden()


def test_film_plays_and_pauses(open_report, document):
    """20 frames a second, from the last frame to the first; it ends with another input."""
    page = open_report(document, "#entry=2")
    expect(page.locator("#axis")).to_be_hidden()
    expect(page.locator("#stop")).to_have_text("frame 4 of 6 · 0.2 s")
    page.locator("#play").click()
    expect(page.locator("#play")).to_have_text("❚❚ Pause")
    expect(page.locator("#stop")).to_have_text("frame 1 of 6 · 0.05 s")
    page.locator("#play").click()
    shown = page.locator("#stop").inner_text()
    page.wait_for_timeout(150)
    expect(page.locator("#stop")).to_have_text(shown)
    page.locator("#play").click()
    page.locator("#next").click()
    expect(page.locator("#name")).to_have_text("signal.wav")
    expect(page.locator("#play")).to_be_hidden()


def test_signal_is_drawn_in_the_colors_of_its_map(open_report, document):
    """The slider moves a cursor; its text and that of the pointer have place, values and map."""
    page = open_report(document, "#entry=3")
    expect(page.locator("#viewer svg .whole")).to_have_count(2)
    text = "sample 37 of 100 · 18.5 s: values 37, -37 · map 0.250 (100.0 % of the maximum)"
    expect(page.locator("#stop")).to_have_text(text)
    page.locator("#slice").press("End")
    expect(page.locator("#stop")).to_contain_text("sample 99 of 100 · 49.5 s: values 99, -99 · map 0.0")
    frame = page.locator("#viewer .frame").bounding_box()
    page.mouse.move(frame["x"] + 0.375 * frame["width"], frame["y"] + 0.75 * frame["height"])
    text = re.compile(r"^sample 37 of 100 · 18.5 s: channel 2 -37 · map 0.25")
    expect(page.locator("#value")).to_have_text(text)
    colors = page.locator("#viewer svg path:not(.casing)").evaluate_all(
        "all => all.map(each => each.getAttribute('stroke'))"
    )
    assert "rgb(253 231 37)" in colors  # the last one of viridis


def test_images_have_no_slider(open_report, document):
    page = open_report(document, "#entry=1&slice=0")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#name")).to_have_text("a.png")
    expect(page.locator("#scroll")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#stop")).to_contain_text("slice 4 of 6")


@pytest.mark.parametrize("entry", [1, 2, 3])
def test_narrow_screens_need_no_horizontal_scrolling(open_report, document, entry):
    page = open_report(document, f"#entry={entry}", viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") == 360
