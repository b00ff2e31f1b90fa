"""Signals as lines: the colors of samples, thinning, the parts outside the crop."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from shown_inputs import shown

from gradcam_cli.images.box import Box
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import signal

RENDER = RenderOptions(cmap="jet", dpi=60)
BAR = ColorBar(2.0, 2.0, "gradcam (logit)", RENDER)
HEATMAP = [0, 0.25, 0.5, 1, 0.1]


def colored_lines(axes):
    """The line of each sample that has the colors of the map."""
    return [each for each in axes.collections if isinstance(each, LineCollection)][-1]


def draw(values, heatmap=HEATMAP, spacing=(), **options):
    return signal.figure(shown(np.float32(values), heatmap, "signal", spacing, **options), ["a.wav"], BAR, RENDER)


def test_the_color_of_a_sample_is_that_of_its_value():
    """The line of each sample goes through it, to the middle of its neighbors."""
    axes = draw([[1], [3], [2], [5], [0]]).axes[0]
    lines = colored_lines(axes)
    expected = color_table("jet")[[0, 64, 128, 255, 26]] / 255  # 255 times the value, rounded
    assert np.allclose(lines.get_colors()[:, :3], expected)
    assert lines.get_segments()[1].tolist() == [[0.5, 2], [1, 3], [1.5, 2.5]]


def test_the_limit_is_the_value_of_the_last_color():
    lines = colored_lines(draw([[1], [3], [2], [5], [0]], limit=0.5).axes[0])
    assert np.allclose(lines.get_colors()[2:4, :3], color_table("jet")[255] / 255)


def test_time_is_in_seconds_if_the_rate_is_known():
    with_rate, without = draw([[1], [3], [2], [5], [0]], spacing=(0.5,)).axes[0], draw([[1]] * 5).axes[0]
    assert (with_rate.get_xlabel(), with_rate.get_xlim()) == ("time (s)", (0, 2))
    assert (without.get_xlabel(), without.get_xlim()) == ("sample", (0, 4))


def test_samples_outside_the_crop_have_no_color():
    axes = draw([[1], [3], [2], [5], [0]], box=Box(1, 4)).axes[0]
    assert [line[1, 0] for line in map(np.array, colored_lines(axes).get_segments())] == [1, 2, 3]
    assert len(axes.patches) == 2  # gray on both sides


def test_a_zero_map_shows_the_signal():
    figure = draw([[1], [3], [2], [5], [0]], heatmap=[0] * 5)
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1, 3, 2, 5, 0]
    assert not figure.axes[0].collections


def test_spikes_survive_thinning():
    """A spike of one sample in a million, and one of the map, are in the points that are drawn."""
    values, heatmap = np.zeros(1_000_000, np.float32), np.zeros(1_000_000, np.float32)
    values[345_678], values[700_001], heatmap[123_457] = 9, -7, 1
    places, drawn, weights = signal.thin_out(values, heatmap, 1000)
    assert len(places) == 2000
    assert (np.diff(places) >= 0).all()
    assert drawn[places == 345_678] == 9
    assert drawn[places == 700_001] == -7
    assert [int(place) // 1000 for place in places[weights == 1]] == [123, 123]


def test_short_signals_are_not_thinned():
    values, heatmap = np.arange(8.0), np.linspace(0, 1, 8)
    places, drawn, weights = signal.thin_out(values, heatmap, 4)
    assert (places.tolist(), drawn.tolist(), weights.tolist()) == (list(range(8)), values.tolist(), heatmap.tolist())


@pytest.mark.parametrize(("channels", "drawn", "note"), [(1, 1, False), (12, 12, False), (14, 12, True)])
def test_at_most_twelve_channels(channels, drawn, note):
    figure = draw(np.arange(5.0)[:, None] * np.arange(1, channels + 1))
    assert len(figure.axes) == drawn + 1  # and the color bar
    last = figure.axes[drawn - 1].lines[0].get_ydata()
    assert last.tolist() == (np.arange(5.0) * drawn).tolist()
    assert ("the first 12 of 14 channels" in " ".join(text.get_text() for text in figure.texts)) == note


def test_panels_have_one_size_and_the_signal_alone_is_gray():
    each = shown(np.sin(np.arange(500.0))[:, None].astype(np.float32), np.linspace(0, 1, 500), "signal")
    plain, colored = signal.image_panel(each, 200), signal.map_panel(each, 200, RENDER)
    assert plain.shape == colored.shape == (100, 200, 3)
    assert (plain == plain[:, :, :1]).all()
    assert (np.ptp(colored.astype(int), axis=2) > 100).any()


def test_equal_signals_give_equal_bytes():
    assert encode_figure(draw([[1], [3], [2], [5], [0]])) == encode_figure(draw([[1], [3], [2], [5], [0]]))
