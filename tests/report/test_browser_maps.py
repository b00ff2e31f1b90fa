"""Maps as numbers in a browser: decoding, the value at a point, colors, opacity and contour lines of `maps.js`."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from scipy import ndimage

from gradcam_cli.reporting.page import read_asset

pytestmark = pytest.mark.extended
GRAY = "Uint8Array.from({ length: 768 }, (_, index) => Math.floor(index / 3))"


@pytest.fixture
def evaluate(browser):
    """Evaluate an expression with the functions of `maps.js`."""
    page = browser.new_page()
    page.add_script_tag(content=read_asset("maps.js"))
    yield page.evaluate
    page.close()


def coded(values, **fields):
    """The JSON form of a map of float32 numbers."""
    numbers = np.asarray(values, "<f4")
    shape = {"height": numbers.shape[0], "width": numbers.shape[1]}
    return json.dumps({**shape, "values": base64.b64encode(numbers.tobytes()).decode(), "limit": 1, **fields})


def drawn(evaluate, values, size, look, **fields):
    """Draw a map and return its pixels, (h, w, 4)."""
    pixels = evaluate(
        f"""() => {{
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = {list(size)};
          drawMap(canvas, decodeMap({coded(values, **fields)}), {{ colors: {GRAY}, {look} }});
          return [...canvas.getContext("2d").getImageData(0, 0, ...{list(size)}).data];
        }}"""
    )
    return np.reshape(pixels, (size[1], size[0], 4))


def test_values_are_linear_between_the_centers_of_cells(evaluate):
    """Two cells: 1 up to a quarter of the width, 3 from three quarters on, 2 in the middle."""
    values = [evaluate(f"valueAt(decodeMap({coded([[1, 3]])}), {x}, 0.5)") for x in (0, 0.25, 0.5, 0.625, 0.75, 1)]
    assert values == [1, 1, 2, 2.5, 3, 3]


def test_levels_are_parts_of_their_top(evaluate):
    text = base64.b64encode(bytes([0, 51, 255, 102])).decode()
    map_ = json.dumps({"width": 2, "height": 2, "values": text, "bits": 8, "limit": 1, "top": 2.5})
    values = evaluate(f"[...decodeMap({map_}).values]")
    np.testing.assert_allclose(values, [0, 0.5, 2.5, 1], rtol=1e-6)


def test_values_outside_the_crop_are_null(evaluate):
    """The cells cover a box from -0.5 to 0.5 of the width; right of it is nothing."""
    map_ = coded([[0, 4]], box=[-0.5, 0, 0.5, 1])
    assert evaluate(f"[0.25, 0, 0.6].map((x) => valueAt(decodeMap({map_}), x, 0.5))") == [4, 2, None]


def test_cells_with_edges_keep_them(evaluate):
    map_ = coded([[1, 3]], nearest=True)
    assert evaluate(f"[0, 0.49, 0.51, 1].map((x) => valueAt(decodeMap({map_}), x, 0.5))") == [1, 1, 3, 3]


def test_map_is_enlarged_as_in_files(evaluate):
    """The pixels are those of `scipy.ndimage.zoom` with half-pixel centers."""
    values = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    expected = ndimage.zoom(values, (7, 10), order=1, mode="nearest", grid_mode=True)
    pixels = drawn(evaluate, values, (40, 21), 'blend: "constant"')
    np.testing.assert_allclose(pixels[:, :, 0], 255 * expected, atol=0.51)


def test_opacity_follows_the_value_or_is_constant(evaluate):
    """Half of the limit at an opacity of 0.8 has the alpha 0.4; values above the limit have the last color."""
    pixels = drawn(evaluate, [[0, 1, 3]], (3, 1), "opacity: 0.8", limit=2)
    np.testing.assert_allclose(pixels[0, :, 3], [0, 0.4 * 255, 0.8 * 255], atol=1)
    assert pixels[0, 2, 0] == 255
    pixels = drawn(evaluate, [[0, 1, 3]], (3, 1), 'opacity: 0.8, blend: "constant"', limit=2, crop=[0.4, 0, 1, 1])
    np.testing.assert_allclose(pixels[0, :, 3], [0, 0.8 * 255, 0.8 * 255], atol=1)


def test_contour_line_is_where_a_ramp_has_its_level(evaluate):
    """A ramp over 200 pixels passes 0.25 at x = 50: white within 1 pixel, black within 2.5 pixels, nothing beyond 3."""
    ramp = (np.arange(200) + 0.5)[np.newaxis] / 200
    pixels = drawn(evaluate, ramp, (200, 9), "opacity: 0, contours: [0.25]")[4]
    assert pixels[49:51].min() == 255
    np.testing.assert_array_equal(pixels[[48, 51]], [[0, 0, 0, 255]] * 2)
    np.testing.assert_array_equal(pixels[[47, 52]], [[0, 0, 0, 128]] * 2)  # half of the pixel is covered
    assert not pixels[[46, 53], 3].any()


def test_zero_map_and_large_map_are_drawn(evaluate):
    """A map that is zero everywhere is transparent; 640 x 480 pixels with lines take less than a tenth of a second."""
    assert not drawn(evaluate, np.zeros((2, 2)), (8, 8), "opacity: 1", limit=1)[:, :, 3].any()
    values = np.random.default_rng(0).random((14, 14))
    milliseconds = evaluate(
        f"""() => {{
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [640, 480];
          const draw = () => drawMap(canvas, decodeMap({coded(values)}), {{ colors: {GRAY}, contours: [0.3, 0.6] }});
          draw();
          const start = performance.now();
          draw();
          return performance.now() - start;
        }}"""
    )
    print(f"640 x 480 pixels: {milliseconds:.0f} ms")
    assert milliseconds < 500
