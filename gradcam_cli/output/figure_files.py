"""Matplotlib figures as PNG, JPEG, PDF and SVG files; equal figures give equal bytes."""

from __future__ import annotations

import html
import io
import re
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_cli.images.encode import MAX_COMMENT_BYTES, encode
from gradcam_cli.output.destination import VECTOR_FORMATS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_SIDE = 2**16 - 1
"""Longest side of a picture that matplotlib renders, in pixels."""

# Text remains text: it can be searched, copied and edited. TrueType fonts are embedded in PDF files, since many
# journals refuse Type 3 fonts; an SVG file names them.
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "gradcam", "pdf.fonttype": 42}
_lock = threading.Lock()  # the settings of matplotlib are global


def encode_figure(figure: Figure, image_format: str = "png", comment: str = "") -> bytes:
    """Encode a figure.

    Args:
        figure: the figure.
        image_format: `png`, `jpg`, `pdf` or `svg`.
        comment: ASCII text that is saved with the figure; left out above `MAX_COMMENT_BYTES`.
    """
    if image_format in VECTOR_FORMATS:
        return _encode_vector(figure, image_format, comment if len(comment) <= MAX_COMMENT_BYTES else "")
    return encode(figure_pixels(figure), image_format, comment)


def figure_pixels(figure: Figure) -> np.ndarray:
    """Render a figure to pixels, (H, W, 3) uint8; a figure of more than `MAX_SIDE` pixels at a lower resolution."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(min(figure.dpi, MAX_SIDE / max(figure.get_size_inches())))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: np.ndarray = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[:, :, :3].copy()


def _encode_vector(figure: Figure, image_format: str, comment: str) -> bytes:
    """Encode a figure as PDF or SVG without a date; the comment is the subject or the description of the file."""
    import matplotlib

    if image_format == "pdf":
        metadata = {"Creator": "gradcam", "Producer": None, "CreationDate": None, "Subject": comment or None}
    else:
        metadata = {"Creator": "gradcam", "Date": None, "Description": comment or None}
    buffer = io.BytesIO()
    with _lock, matplotlib.rc_context(_SETTINGS):
        figure.savefig(buffer, format=image_format, metadata=metadata, dpi=figure.dpi)
    return buffer.getvalue()


def read_vector_comment(data: bytes) -> str | None:
    """Return the comment of a PDF or SVG file that `encode_figure` wrote, or None."""
    if data.startswith(b"%PDF"):
        found = re.search(rb"/Subject \(((?:[^\\)]|\\.)*)\)", data, re.DOTALL)
        return re.sub(rb"\\(.)", rb"\1", found[1], flags=re.DOTALL).decode("ascii", "replace") if found else None
    found = re.search(rb"<dc:description>([^<]*)</dc:description>", data)
    return html.unescape(found[1].decode("utf-8", "replace")) if found else None
