"""Figures and animations of maps along depth: one color scale, labels in place, and the curves below the frames."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcam_cli.images.box import Box
from gradcam_cli.neuralode.explain import plots
from gradcam_cli.neuralode.explain.plots import ColorScale, Curves, animation_frames, depth_figure, make_frames
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.render_options import RenderOptions

COLORS = ColorScale(RenderOptions("gray", 0.5), "flow: score per unit of t")
ZERO = "no gradient: the class score does not depend on this layer for this image"


def explanation(value, zero_reason=None, gray=100):
    """An explanation of an image of 2x3 pixels with a constant map of one cell."""
    return SimpleNamespace(
        image=np.full((2, 3, 3), gray, np.uint8),
        cam=np.full((1, 1), value, np.float32),
        crop_box=Box(0, 0, 3, 2),
        map_box=Box(0, 0, 3, 2),
        settings=SimpleNamespace(interpolation="linear"),
        zero_reason=zero_reason,
    )


def test_frames_have_one_color_scale():
    """Values of 4, 1 and 0 are drawn with the opacities 0.5, 0.125 and 0 over the dimmed image, 0.6 * 100."""
    frames = make_frames([explanation(4), explanation(1), explanation(0, ZERO)], [0, 0.5, 1], COLORS)
    assert [frame.maximum for frame in frames] == [4, 1, 0]
    # 0.5 * 60 + 0.5 * 255 = 157.5; 0.875 * 60 + 0.125 * 64 = 60.5; 60
    assert [int(frame.pixels[0, 0, 0]) for frame in frames] == [158, 61, 60]
    assert [int(frame.pixels.max()) for frame in frames] == [158, 61, 60]
    assert {frame.pixels.shape for frame in frames} == {(224, 336, 3)}
    assert [frame.zero_reason for frame in frames] == [None, None, ZERO]


def test_only_zero_maps():
    (frame,) = make_frames([explanation(0, ZERO)], [0.5], COLORS)
    assert (frame.pixels == 60).all()
    figure = depth_figure(explanation(0).image, [frame], Curves(np.array([0.5]), np.zeros(1)), COLORS, "zero")
    assert encode_figure(figure).startswith(b"\x89PNG")


def drawn(t, values, probabilities=None):
    frames = make_frames([explanation(value, None if value else ZERO) for value in values], t, COLORS)
    p = np.linspace(0.1, 1, len(t)) if probabilities is None else probabilities
    return depth_figure(explanation(0).image, frames, Curves(p, np.arange(1.0, len(t) + 1)), COLORS, "7 $x$", dpi=50)


def axes_of_frames(figure):
    return [axes for axes in figure.axes if axes.get_title().startswith("t =")]


def test_figure_labels_frames_and_color_bar():
    """Each frame has its t and maximum, zero maps the reason in their place, and the color bar ends at the maximum."""
    figure = drawn([0, 0.25, 0.5, 0.75, 1], [4, 2, 0, 1, 3])
    frames = axes_of_frames(figure)
    assert [axes.get_title() for axes in frames] == [
        *("t = 0\nmax 4", "t = 0.25\nmax 2", "t = 0.5\nmax 0", "t = 0.75\nmax 1", "t = 1\nmax 3")
    ]
    assert [[text.get_text() for text in axes.texts] for axes in frames] == [
        *([], [], ["zero everywhere:\nno gradient"], [], [])
    ]
    assert len({axes.get_position().y0 for axes in frames}) == 1
    (bar,) = (axes for axes in figure.axes if axes.get_ylabel() == COLORS.label)
    assert bar.get_ylim() == (0, 4)
    colors = bar.images[0].get_array()
    assert colors[0].tolist() == [[128] * 3, [204] * 3]  # 0.5 * 255 over black, and over 0.6 * 255
    assert colors[-1].tolist() == [[0] * 3, [153] * 3]


def test_curves_are_below_the_frames():
    """For evenly spaced depths, each t is below the center of its frame."""
    t = [0, 0.25, 0.5, 0.75, 1]
    figure = drawn(t, [1, 2, 3, 4, 5])
    curves, norms = (axes for axes in figure.axes if axes.lines)
    np.testing.assert_allclose(curves.lines[0].get_xydata(), np.stack([t, np.linspace(0.1, 1, 5)], axis=1))
    np.testing.assert_allclose(norms.lines[0].get_xydata()[:, 1], [1, 2, 3, 4, 5])
    assert norms.get_ylim()[0] == 0
    for time, frame in zip(t, axes_of_frames(figure), strict=True):
        x = curves.transData.transform((time, 0))[0]
        center = frame.transAxes.transform((0.5, 0))[0]
        assert x == pytest.approx(center, abs=0.5)
        assert frame.get_position().y0 > curves.get_position().y1


def test_many_depths_are_a_row_of_frames_and_complete_curves():
    """Of 30 depths, nine evenly spaced ones have frames, with the first and the last."""
    t = np.linspace(0, 1, 30).tolist()
    figure = drawn(t, range(30))
    titles = [axes.get_title().split("\n")[0] for axes in axes_of_frames(figure)]
    assert (len(titles), titles[0], titles[-1]) == (plots.MAX_SHOWN_MAPS, "t = 0", "t = 1")
    assert len(next(axes for axes in figure.axes if axes.lines).lines[0].get_xdata()) == 30


@pytest.mark.parametrize("t", [[0.5], [0.0, 0.1, 1.0], [1.0, 0.0, -1.0]])
def test_other_depths_are_drawn(t):
    """One depth, uneven depths, and decreasing depths; a model without probabilities has no curve of them."""
    figure = drawn(t, range(1, len(t) + 1), np.full(len(t), np.nan))
    assert len(axes_of_frames(figure)) == len(t)
    assert encode_figure(figure).startswith(b"\x89PNG")


def test_animation_has_a_line_below_each_frame():
    frames = make_frames([explanation(4), explanation(0, ZERO)], [0, 1], COLORS)
    first, last = animation_frames(frames)
    assert first.shape == last.shape == (224 + plots.LABEL_HEIGHT, 336, 3)
    np.testing.assert_array_equal(first[:224], frames[0].pixels)
    blue = [int((drawn[225] == (31, 119, 180)).all(axis=1).sum()) for drawn in (first, last)]
    assert blue[0] <= 1
    assert blue[1] >= 335
