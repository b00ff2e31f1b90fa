"""Grid figures: all maps of an image, or of several images, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.output import figures
from gradcam_cli.output.destination import format_for_suffix
from gradcam_cli.pipeline.origin import Origin, picture_comment
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import basename

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation


def encode_grid(
    explanations: Sequence[Explanation],
    image_format: str = "png",
    *,
    cmap: str = "jet",
    opacity: float = 0.5,
    dpi: int = 150,
    origin: Origin | None = None,
) -> bytes:
    """Return a grid figure with all maps of an image: one row per class, one column per method and layer."""
    rows: dict[str, list[figures.Cell]] = {}
    for explanation in explanations:
        label = explanation.prediction.label
        row = rows.setdefault(label, [(label, figures.thumbnail_for_grid(explanation.image, dpi))])
        drawn = figures.thumbnail_for_grid(explanation.overlay(cmap, opacity), dpi)
        row.append((f"{explanation.method} · {explanation.layer}", drawn))
    figure = figures.grid_figure(list(rows.values()), dpi)
    return figures.encode_figure(
        figure, image_format, picture_comment([each.metadata() for each in explanations], origin)
    )


def grid_row(
    explanations: Sequence[Explanation], cmap: str = "jet", opacity: float = 0.5, dpi: int = 150
) -> list[figures.Cell]:
    """Return the row of an image in a grid of several images: the image, then its maps, as thumbnails."""
    first = explanations[0]
    several_classes = len({explanation.prediction.index for explanation in explanations}) > 1
    title = f"{basename(first.source)}: {first.prediction.label}"
    row = [(title, figures.thumbnail_for_grid(first.image, dpi))]
    for explanation in explanations:
        label = f"{explanation.method} · {explanation.layer}"
        label += f" · {explanation.prediction.label}" if several_classes else ""
        row.append((label, figures.thumbnail_for_grid(explanation.overlay(cmap, opacity), dpi)))
    return row


def write_grid(path: Path, rows: Sequence[Sequence[figures.Cell]], dpi: int = 150) -> Path:
    """Write one grid figure with a row for each image.

    Raises:
        OutputError: it cannot be written.
    """
    return write_output(path, figures.encode_figure(figures.grid_figure(rows, dpi), format_for_suffix(path)))
