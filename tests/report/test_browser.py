"""The report in a browser: what is shown, the keyboard, links, width, colours and accessibility."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_documents import HOSTILE, make_document, make_entry, make_failure

from gradcam_cli.report import page as report_page

pytestmark = pytest.mark.slow

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
PROGRAMS = ["chromium", "chromium-browser", "google-chrome"]
CHROMIUM = os.environ.get("GRADCAM_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync", "--disable-quic"],
]
AXE = os.environ.get("GRADCAM_AXE") or Path(__file__).parents[2] / ".cache/node/node_modules/axe-core/axe.min.js"
CARDS = "#cards a"


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM:
        pytest.skip("no chromium on the PATH, and GRADCAM_CHROMIUM names none")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def open_report(browser, tmp_path):
    """Open a document in a new page; nothing may go wrong there, nor be asked for outside its folder."""
    contexts, wrong, requests = [], [], []

    def opened(document, fragment="", **options):
        (tmp_path / "index.html").write_text(report_page.render(document), encoding="utf-8")
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: message.type in ("error", "warning") and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{(tmp_path / 'index.html').as_uri()}{fragment}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
    assert [url for url in requests if not url.startswith((tmp_path.as_uri() + "/", "data:,"))] == []


@pytest.fixture
def pictures(tmp_path):
    """A photo, two maps and a thumbnail beside the page."""
    (tmp_path / "report").mkdir()
    rng = np.random.default_rng(0)
    for name, shape in {"photo": (30, 40, 3), "map": (15, 20, 4), "other": (15, 20, 4), "thumb": (30, 40, 3)}.items():
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"report/{name}.png")
    return {"photo": "report/photo.png", "thumb": "report/thumb.png", "size": [40, 30]}


def make_maps(entry, *choices):
    """Give an entry one map for each dict of choices."""
    known = {"picture": "report/map.png", "peak": [9, 14], "box": [10, 6, 30, 24]}
    maps = [{**entry["maps"][0], **known, **choice} for choice in choices]
    return {**entry, "maps": maps}


@pytest.fixture
def mixed(pictures):
    """Ten inputs of several classes, probabilities, metrics and statuses."""
    animals = ["tabby", "tiger cat", "dog"]
    entries = [
        make_entry(
            f"photos/{name}{number}.png",
            p=round(0.1 * number, 1),
            metrics={"drop": None if number == 3 else 1 / number},
            **{**pictures, "class": animals[number % 3]},
        )
        for number, name in enumerate(["img", "img", "x", "x", "y", "y", "z"], start=1)
    ]
    entries[4]["name"] = "photos/img10.png"
    entries[1] = make_maps(entries[1], {}, {"zero": "every weight is negative"})
    entries[2]["missed"] = ["drop"]
    entries += [make_failure("bad.jpg", "cannot be read", "is it a photo?"), make_entry("old.jpg", status="skipped")]
    entries[-1].update({"p": None, "class": None, "maps": [], "top": []})
    metrics = [{"name": "drop", "title": "drop: average drop", "more_is_better": False}]
    return make_document(entries, metrics=metrics, counts={"ok": 7, "failed": 1, "skipped": 1})


@pytest.fixture
def several(pictures):
    """One photo with maps of two classes, two layers and two methods, but not all combinations; and another photo."""
    one = make_maps(
        make_entry("one.png", **pictures),
        {"layer": "conv1"},
        {"layer": "conv2", "picture": "report/other.png"},
        {"layer": "conv2", "method": "layercam", "shell": "gradcam one.png --method layercam"},
        {"class": "dog", "layer": "conv2", "p": 0.1},
    )
    return make_document([one, make_entry("two.png", **pictures)])


def make_flow(pictures):
    depths = [{"t": t, "adjoint_norm": value} for t, value in [(0.0, 0.01), (0.5, 0.04), (1.0, 0.02)]]
    return make_document([make_maps(make_entry("one.png", **pictures), *depths)], command="neuralode explain")


def names(page):
    return [name.rpartition("/")[2] for name in page.locator("#cards .name").all_inner_texts()]


def test_search_finds_names(open_report, mixed):
    """Search takes any part of the name, in either case, says how many were found, and Reset shows all again."""
    page = open_report(mixed)
    page.get_by_label("Name", exact=True).fill("IMG")
    expect(page.locator("#count")).to_have_text("3 of 9 inputs")
    assert names(page) == ["img1.png", "img2.png", "img10.png"]
    page.get_by_role("button", name="Reset filters").click()
    expect(page.locator(CARDS)).to_have_count(9)
    page.get_by_label("Name", exact=True).fill("nothing of this name")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(CARDS)).to_have_count(9)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("all", 9),
        ("explained", 7),
        ("failed", ["bad.jpg"]),
        ("skipped", ["old.jpg"]),
        ("zero maps", ["img2.png"]),
        ("missed thresholds", ["x3.png"]),
    ],
)
def test_filter_by_status(open_report, mixed, status, found):
    page = open_report(mixed)
    page.get_by_label("Status").select_option(label=status)
    assert (names(page) if isinstance(found, list) else len(names(page))) == found


def test_filter_by_class(open_report, mixed):
    """A part of a class finds all that have it; a whole class finds only itself."""
    page = open_report(mixed)
    page.get_by_label("Class").first.fill("t")
    expect(page.locator(CARDS)).to_have_count(5)
    page.get_by_label("Class").first.fill("tiger cat")
    expect(page.locator(CARDS)).to_have_count(3)
    expect(page.locator("#classes option")).to_have_count(3)


def test_filter_by_probability(open_report, mixed):
    """Both bounds belong to the range; inputs without a probability are outside it."""
    page = open_report(mixed)
    page.get_by_label("Smallest probability, percent").fill("30")
    page.get_by_label("Largest probability, percent").fill("50")
    expect(page.locator(CARDS)).to_have_count(3)
    assert names(page) == ["x3.png", "x4.png", "img10.png"]


@pytest.mark.parametrize(
    ("key", "ascending", "without"),
    [
        ("name", "bad.jpg old.jpg img1.png img2.png img10.png x3.png x4.png y6.png z7.png", 0),
        ("probability", "img1.png img2.png x3.png x4.png img10.png y6.png z7.png bad.jpg old.jpg", 2),
        ("drop", "z7.png y6.png img10.png x4.png img2.png img1.png x3.png bad.jpg old.jpg", 3),
    ],
)
def test_sort(open_report, mixed, key, ascending, without):
    """Names sort by their numbers; inputs without the value stand last, up as down."""
    page = open_report(mixed)
    page.locator("#sort").select_option(label=key)
    order = ascending.split()
    assert names(page) == order
    page.locator("#order").select_option("descending")
    valued = len(order) - without
    assert names(page) == order[:valued][::-1] + order[valued:]


def test_pages(open_report, pictures):
    """Forty-eight cards a page; previous, next and a number turn pages, and the link remembers the page."""
    page = open_report(make_document([make_entry(f"{n}.png", **pictures) for n in range(100)]))
    expect(page.locator(CARDS)).to_have_count(48)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.get_by_role("button", name="Next").click()
    assert names(page)[0] == "48.png"
    page.get_by_label("Page", exact=True).fill("99")
    page.keyboard.press("Enter")
    assert names(page) == ["96.png", "97.png", "98.png", "99.png"]
    expect(page).to_have_url(re.compile("page=3$"))
    expect(page.locator("#count")).to_have_text("100 inputs, 97 to 100 shown")


def test_keyboard(open_report, mixed):
    """Tab reaches the cards, Enter opens one, arrows walk on, Escape comes back to the card, and / searches."""
    page = open_report(mixed)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#cards a')"):
            break
    expect(page.locator(CARDS).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#name")).to_have_text("photos/img2.png")
    page.keyboard.press("Escape")
    expect(page.locator(CARDS).nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("x/")
    expect(page.locator("#q")).to_have_value("x/")


def test_escape_turns_to_the_page_of_the_card(open_report, pictures):
    """After walking beyond the gallery's page, Escape shows the page of the photo that was open."""
    page = open_report(make_document([make_entry(f"{n}.png", **pictures) for n in range(60)]), "#entry=48")
    page.get_by_role("button", name="Next").click()
    page.keyboard.press("Escape")
    expect(page.locator(CARDS).first).to_be_focused()
    assert names(page)[0] == "48.png"


def test_walk_stays_within_the_filter(open_report, mixed):
    """Previous and next go through what the gallery shows, and stop at its ends."""
    page = open_report(mixed, "#q=img")
    page.locator(CARDS).nth(1).click()
    expect(page.locator("#position")).to_contain_text("2 of 3")
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#name")).to_have_text("photos/img10.png")
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_opacity_and_modes(open_report, several):
    """The slider sets the map's opacity; side by side shows the photo alone beside the map alone."""
    page = open_report(several, "#entry=1")
    shown = page.locator("#stage .map")
    expect(shown).to_have_css("opacity", "0.6")
    slider = page.get_by_label("Opacity")
    slider.fill("25")
    expect(shown).to_have_css("opacity", "0.25")
    slider.press("ArrowRight")
    expect(shown).to_have_css("opacity", "0.26")
    expect(page).to_have_url(re.compile("opacity=26"))
    page.get_by_label("Side by side").check()
    expect(page.locator("#stage figure")).to_have_count(2)
    expect(page.locator("#stage figure").first.locator(".map")).to_have_count(0)
    expect(shown).to_have_css("opacity", "1")
    boxes = [figure.bounding_box() for figure in page.locator("#stage .frame").all()]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["width"] == pytest.approx(4 / 3 * boxes[0]["height"], abs=1)


def test_switch_class_layer_method(open_report, several):
    """Each choice shows its map; a combination that does not exist gives the nearest that does."""
    page = open_report(several, "#entry=1")
    shown = page.locator("#stage figcaption")
    page.locator("#map-layer").select_option("conv2")
    expect(shown).to_have_text("cat · gradcam · conv2")
    expect(page.locator("#stage .map")).to_have_attribute("src", "report/other.png")
    page.locator("#map-method").select_option("layercam")
    expect(shown).to_have_text("cat · layercam · conv2")
    expect(page.locator("#again pre")).to_have_text("gradcam one.png --method layercam")
    page.locator("#map-class").select_option("dog")
    expect(shown).to_have_text("dog · gradcam · conv2")
    expect(page).to_have_url(re.compile("map=4"))
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#map-class")).to_be_hidden()


def test_classes_of_the_same_name(open_report, pictures):
    """Two classes that share a name are both there."""
    maps = [{"p": 0.5}, {"p": 0.3, "picture": "report/other.png"}]
    page = open_report(make_document([make_maps(make_entry(**pictures), *maps)]), "#entry=1")
    page.locator("#map-class").select_option("cat (2)")
    expect(page.locator("#stage .map")).to_have_attribute("src", "report/other.png")


def test_marks(open_report, several):
    """The peak's ring and the box lie where the photo's pixels say."""
    page = open_report(several, "#entry=1")
    page.get_by_label("Mark the peak").check()
    page.get_by_label("Outline the box").check()
    frame, peak, box = (page.locator(f"#stage {name}").bounding_box() for name in (".frame", ".peak", ".box"))
    scale = frame["width"] / 40
    assert peak["x"] + peak["width"] / 2 - frame["x"] == pytest.approx(9.5 * scale, abs=0.6)
    assert peak["y"] + peak["height"] / 2 - frame["y"] == pytest.approx(14.5 * scale, abs=0.6)
    assert box["x"] - frame["x"] == pytest.approx(10 * scale, abs=0.6)
    assert box["height"] == pytest.approx(18 * scale, abs=0.6)


def test_depth(open_report, pictures):
    """The slider walks along t; the curve and its table tell the sensitivities."""
    page = open_report(make_flow(pictures), "#entry=1")
    slider = page.get_by_label("Depth t")
    slider.press("ArrowRight")
    expect(page.locator("#depth-shown")).to_have_text("0.5")
    expect(slider).to_have_attribute("aria-valuetext", "t = 0.5")
    expect(slider).to_be_focused()
    expect(page.locator("#stage figcaption")).to_contain_text("t = 0.5")
    expect(page.locator("#curve svg")).to_have_attribute("aria-label", re.compile("largest, 0.04, at t = 0.5"))
    page.get_by_text("As a table").click()
    expect(page.locator("#curve tbody tr")).to_have_text(["00.01", "0.50.04", "10.02"])


def test_before_and_after(open_report, pictures):
    """Compare shows both maps side by side under one slider, with their numbers in two columns."""
    runs = [{"run": "before", "p": 0.8}, {"run": "after", "p": 0.4, "picture": "report/other.png"}]
    page = open_report(make_document([make_maps(make_entry(**pictures), *runs)], command="compare"), "#entry=1")
    page.get_by_label("Opacity").fill("40")
    for place, picture in enumerate(["report/map.png", "report/other.png"]):
        expect(page.locator("#stage .map").nth(place)).to_have_attribute("src", picture)
        expect(page.locator("#stage .map").nth(place)).to_have_css("opacity", "0.4")
    expect(page.locator("#numbers thead th")).to_have_text(["before", "after"])
    expect(page.locator("#numbers")).to_contain_text("80.0 %40.0 %")
    page.get_by_label("Side by side").check()
    expect(page.locator("#stage figure")).to_have_count(3)


def test_failed_and_zero(open_report, mixed):
    """A failed input shows its error and hint; a zero map says why."""
    page = open_report(mixed, "#entry=8")
    expect(page.locator("#notices")).to_have_text("✗ Failed. cannot be readis it a photo?")
    expect(page.locator("#explanation")).to_be_hidden()
    page.goto(page.url.replace("entry=8", "entry=2&map=2"))
    expect(page.locator("#notices")).to_have_text("○ The map is zero everywhere: every weight is negative")


def test_link_shows_the_same(open_report, several):
    """The address holds photo, map, mode and opacity."""
    page = open_report(several, "#entry=1&map=3&mode=side&opacity=70")
    expect(page.locator("#stage figcaption").last).to_have_text("cat · layercam · conv2")
    expect(page.get_by_label("Side by side")).to_be_checked()
    expect(page.locator("#stage .map")).to_have_css("opacity", "0.7")


def test_link_with_nonsense(open_report, mixed):
    """A damaged address shows the gallery rather than an error."""
    page = open_report(mixed, "#entry=999&status=constructor&sort=__proto__&page=-3&opacity=x&min=abc")
    expect(page.locator(CARDS)).to_have_count(9)
    page.goto(page.url.split("#")[0] + "#entry=1&map=77&opacity=1000")
    expect(page.locator("#name")).to_have_text("photos/img1.png")


def test_back_and_forward(open_report, mixed):
    """The browser's history walks through filters and photos; typing one word is one step."""
    page = open_report(mixed)
    page.locator("#q").press_sequentially("img")
    page.locator(CARDS).nth(1).click()
    page.get_by_role("button", name="Next").click()
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


def test_copy_the_command(open_report, several):
    """Copy puts the command into the clipboard and says so."""
    page = open_report(several, "#entry=1&map=3", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).to_have_text("✓ Copied the command.")
    assert page.evaluate("navigator.clipboard.readText()") == "gradcam one.png --method layercam"


def test_copy_without_clipboard(open_report, several):
    """Where the browser has no clipboard for pages, the command is selected and copied."""
    page = open_report(several, "#entry=1&map=3")
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copied")).not_to_be_empty()
    assert page.evaluate("String(getSelection())") == "gradcam one.png --method layercam"


def test_hostile_texts_are_shown(open_report, pictures):
    """Names, labels and errors of any form are text in gallery, detail and summary, and nothing runs."""
    texts = HOSTILE[:-1]
    entries = []
    for text in texts:
        entry = make_entry(text, **{**pictures, "class": text, "top": [[text, 0.5]], "missed": [text]})
        fields = {"class": text, "layer": text, "method": text, "shell": text, "zero": text, "numbers": [[text, text]]}
        entries += [make_maps(entry, fields, {"class": "other"}), make_failure(text, error=text, hint=text)]
    page = open_report(make_document(entries, line=texts[0]))
    assert page.locator("#cards .name").all_inner_texts()[::2] == texts
    for number, text in enumerate(texts):
        page.goto(f"{page.url.split('#')[0]}#entry={2 * number + 1}")
        expect(page.locator("#name")).to_have_text(text)
        expect(page.locator("#again pre")).to_have_text(text)
        expect(page.locator("#map-class option").first).to_have_text(text)
    page.get_by_role("link", name="Summary").click()
    expect(page.locator(".failures a")).to_have_text(texts)
    assert page.evaluate("[typeof window.pwned, document.querySelectorAll('[onerror], [onmouseover]').length]") == [
        "undefined",
        0,
    ]


def test_five_thousand_inputs(open_report, pictures, tmp_path):
    """Thousands of inputs make no more nodes than one page of cards; the times are printed."""
    for number in range(200):
        shutil.copy(tmp_path / "report/thumb.png", tmp_path / f"report/{number}.png")
    entries = [
        make_failure(f"photos/{n}.jpg")
        if n % 50 == 0
        else make_maps(
            make_entry(
                f"photos/{n}.jpg", **{**pictures, "thumb": f"report/{n % 200}.png", "class": f"class {n % 300}"}
            ),
            *({"layer": f"conv{k}"} for k in range(3)),
        )
        for n in range(5000)
    ]
    document = make_document(entries, settings=[["model", "mini"]] * 12)
    page = open_report(make_document())
    (tmp_path / "index.html").write_text(report_page.render(document), encoding="utf-8")
    start = time.perf_counter()
    page.reload()
    expect(page.locator(CARDS)).to_have_count(48)
    first = time.perf_counter() - start
    took = page.evaluate(
        """() => new Promise((done) => {
          const start = performance.now(), field = document.getElementById("q");
          field.value = "499";
          field.dispatchEvent(new Event("input"));
          requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
        })"""
    )
    expect(page.locator("#count")).to_have_text("15 of 5000 inputs")
    page.locator("#q").fill("")
    page.locator("#sort").select_option("name")
    expect(page.locator(CARDS)).to_have_count(48)
    nodes = page.evaluate("document.querySelectorAll('*').length")
    print(f"5,000 inputs: first view {first:.2f} s, filter {took / 1000:.3f} s, {nodes} nodes")
    assert nodes < 700


def test_dark_and_light(open_report, mixed):
    """The page follows the system's colours."""
    grounds = {
        scheme: open_report(mixed, color_scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert [sum(map(int, re.findall(r"\d+", grounds[scheme]))) > 380 for scheme in ("light", "dark")] == [True, False]


@pytest.mark.parametrize("fragment", ["", "#entry=1&mode=side", "#entry=2", "#view=summary"])
def test_phone(open_report, several, fragment):
    """At 360 pixels nothing is wider than the screen, not even a name without any space."""
    long = "w" * 300
    several["entries"][1]["name"] = long
    several["entries"][1]["maps"][0].update({"class": long, "numbers": [[long, long]], "files": {long: "a"}})
    several.update(
        {"settings": [[long, long]], "tables": [{"title": "t", "columns": ["a"] * 20, "rows": [["b"] * 20]}]}
    )
    page = open_report(several, fragment, viewport={"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_print(open_report, several):
    """On paper there are no controls."""
    page = open_report(several, "#entry=1")
    page.emulate_media(media="print")
    for hidden in ("#controls", "#previous", "header nav"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("#stage .map")).to_be_visible()


def test_without_javascript(open_report, mixed):
    """Without scripts the page shows the summary, and says what is missing."""
    page = open_report({**mixed, "line": "gradcam photos"}, java_script_enabled=False)
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#summary")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("gradcam photos")
    expect(page.locator("#gallery")).to_be_hidden()


@pytest.mark.parametrize("fragment", ["", "#entry=1", "#summary"])
def test_partial_run_is_always_visible(open_report, mixed, fragment):
    page = open_report({**mixed, "partial": "interrupted: 9 of 40 inputs were done"}, fragment)
    page.evaluate("scrollTo(0, 1e6)")
    expect(page.get_by_text("interrupted: 9 of 40 inputs were done")).to_be_in_viewport()


def test_summary_and_gallery_keep_the_filter(open_report, mixed):
    """The links in the header change the view and keep what was searched."""
    page = open_report(mixed, "#q=img")
    page.get_by_role("link", name="Summary").click()
    expect(page.locator("#summary-title")).to_be_focused()
    expect(page.get_by_role("link", name="Summary")).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name="Gallery").click()
    expect(page.locator(CARDS)).to_have_count(3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility(open_report, mixed, pictures, scheme):
    """axe-core finds nothing serious in the gallery, in the details, or in the summary."""
    if not Path(AXE).is_file():
        pytest.skip("axe-core is not there: GRADCAM_AXE names its axe.min.js")
    mixed["entries"].append(make_flow(pictures)["entries"][0])
    mixed["entries"].append(make_maps(make_entry(**pictures), {"run": "before"}, {"run": "after"}))
    mixed.update(
        partial="interrupted",
        line="gradcam photos",
        settings=[["model", "mini"]],
        limits=[{"text": "drop=0.1", "missed": "got 1"}, {"text": "drop=2", "missed": None}],
        tables=[{"title": "Means", "columns": ["map", "drop"], "rows": [["gradcam", "0.1"]]}],
        plots=[{"title": "drop", "src": "report/photo.png", "width": 40, "height": 30}],
    )
    page = open_report(mixed, color_scheme=scheme)
    page.evaluate(Path(AXE).read_text(encoding="utf-8"))
    for fragment in (
        "#",
        "#q=nothing",
        "#entry=2&map=2&peak=1&box=1",
        "#entry=8",
        "#entry=10",
        "#entry=11",
        "#summary",
    ):
        page.evaluate("(fragment) => { location.hash = fragment }", fragment)
        page.wait_for_timeout(50)
        found = page.evaluate("axe.run().then((result) => result.violations)")
        serious = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")]
        assert serious == [], fragment
