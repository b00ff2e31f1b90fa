"""Text that fits into a width: words are not broken, and what is too long is shortened in the middle."""

from __future__ import annotations

import re
from collections.abc import Callable

from gradcam_cli.console import escape_control_chars

ELLIPSIS = "…"
HINTING = 1.04
"""Text in pixels is up to this factor wider than its outlines, since its characters begin at whole pixels."""
MAX_LENGTH = 1000
"""Characters of a text that are measured."""


def renderable(text: str) -> str:
    """Return a text that can be drawn: control characters escaped, invalid UTF-8 bytes replaced by `?`."""
    return escape_control_chars(text).encode("utf-8", "replace").decode("utf-8")


def fit_lines(text: str, width: float, size: float, max_lines: int = 2) -> list[str]:
    """Return the lines of a text; each fits into a width.

    Lines end between words, or after the punctuation of a word that is longer than a line.

    Args:
        text: any text.
        width: in inches.
        size: size of the font, in points.
        max_lines: the rest of a longer text is left out, with an ellipsis.
    """
    measure = _measure(size)
    lines: list[str] = []
    for word in _shorten(renderable(text), MAX_LENGTH).split():
        pieces = [word] if measure(word) <= width else re.findall(r"[^_/.\-]*[_/.\-]+|[^_/.\-]+", word)
        for i, piece in enumerate(pieces):
            separator = " " if i == 0 else ""
            if lines and measure(lines[-1] + separator + piece) <= width:
                lines[-1] += separator + piece
            else:
                lines.append(_fit(piece, width, measure))
    if len(lines) > max_lines:
        lines[max_lines - 1 :] = [_fit(" ".join(lines[max_lines - 1 :]), width, measure, at_end=True)]
    return lines


def fit_line(text: str, width: float, size: float) -> str:
    """Return a text that fits into a width (inches) at a size (points); a longer one is shortened in the middle."""
    return _fit(_shorten(renderable(text), MAX_LENGTH), width, _measure(size))


def _measure(size: float) -> Callable[[str], float]:
    """Return a function that returns the width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size)

    def measure(text: str) -> float:
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
        return HINTING * float(width) / 72

    return measure


def _fit(text: str, width: float, measure: Callable[[str], float], *, at_end: bool = False) -> str:
    """Return a text or the longest shortened text that fits; bisection, since wider texts have more characters."""
    if measure(text) <= width:
        return text
    low, high = 1, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        short = _shorten(text, middle, at_end=at_end)
        low, high = (middle, high) if measure(short) <= width else (low, middle)
    return _shorten(text, low, at_end=at_end)


def _shorten(text: str, length: int, *, at_end: bool = False) -> str:
    """Return a text of at most `length` characters, with an ellipsis in its middle or at its end."""
    if len(text) <= length:
        return text
    head = length - 1 if at_end else length // 2
    tail = length - 1 - head
    return text[:head] + ELLIPSIS + (text[-tail:] if tail > 0 else "")
