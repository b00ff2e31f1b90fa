"""Wrapped and shortened text."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gradcam_cli.output.text_fitting import fit_line, fit_lines


def width_of(text, size):
    """Return the width of a text in inches, as Agg draws it."""
    figure = Figure(dpi=200)
    renderer = FigureCanvasAgg(figure).get_renderer()
    return figure.text(0, 0, text, fontsize=size).get_window_extent(renderer).width / 200


TEXTS = [
    "military uniform",
    "military_uniform_of_a_long_name with words",
    "backbone/block5_conv4/extra-long.name",
    "Donaudampfschifffahrtsgesellschaftskapitänsmütze",
    "W" * 500,
    "",
    "two\nlines\tand\ttabs",
]


@pytest.mark.parametrize("width", [0.6, 1.4, 3])
@pytest.mark.parametrize("text", TEXTS)
def test_lines_fit(text, width):
    lines = fit_lines(text, width, 8, max_lines=3)
    assert len(lines) <= 3
    assert all(width_of(line, 8) <= width + 0.03 for line in lines)
    assert width_of(fit_line(text, width, 8), 8) <= width + 0.03


def test_words_are_not_broken():
    """Lines end between words; a word that is too long ends a line after its punctuation, or is shortened."""
    assert fit_lines("gradcam military_uniform", 1.2, 8) == ["gradcam", "military_uniform"]
    assert fit_lines("backbone/block5_conv4", 0.8, 8) == ["backbone/", "block5_conv4"]
    (short,) = fit_lines("Donaudampfschifffahrt", 0.8, 8)
    assert short.startswith("Don")
    assert short.endswith("hrt")
    assert "…" in short


def test_rest_is_left_out_with_an_ellipsis():
    lines = fit_lines("one two three four five six seven eight", 0.6, 8, max_lines=2)
    assert lines[-1].endswith("…")
    assert "".join(lines).startswith("one")


def test_control_characters_are_visible():
    assert "\x1b" not in fit_line("a\x1b[31mb", 5, 8)
