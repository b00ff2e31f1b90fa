"""Grid figures: all maps of an image, or of several images, in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.output.destination import format_for_suffix
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.grids import CELL_SIZE, Cell, GridRow, grid_figure
from gradcam_cli.output.render_options import RenderOptions, render_options
from gradcam_cli.pipeline.captions import class_label, grid_color_bar, image_name, layer_label, model_label
from gradcam_cli.pipeline.origin import Origin, picture_comment
from gradcam_cli.pipeline.panels import image_panel, map_panel
from gradcam_cli.storage.files import write_output

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation


def encode_grid(
    explanations: Sequence[Explanation], image_format: str = "png", *, origin: Origin | None = None, **options: Any
) -> bytes:
    """Return a grid figure with all maps of an image: one row per class, one column per method and layer.

    Args:
        explanations: the maps of one image.
        image_format: `png`, `jpg`, `pdf` or `svg`.
        origin: the image, the model and the options of the run, saved with the file.
        **options: the values of `RenderOptions`.
    """
    render, first = render_options(**options), explanations[0]
    title = f"{image_name(first)} · {model_label(first.model.name)}"
    figure = grid_figure(grid_rows(explanations, **options), title, grid_color_bar(render), render.dpi)
    return encode_figure(figure, image_format, picture_comment([each.metadata() for each in explanations], origin))


def grid_rows(explanations: Sequence[Explanation], *, with_name: bool = False, **options: Any) -> list[GridRow]:
    """Return the rows of an image in a grid, with thumbnails: one per class, with the image and its maps.

    Args:
        explanations: the maps of one image.
        with_name: whether the headings of the rows begin with the name of the image.
        **options: the values of `RenderOptions`.
    """
    render = render_options(**options)
    side = int(CELL_SIZE * render.dpi)
    rows: dict[str, list[Cell]] = {}
    for explanation in explanations:
        class_lines = class_label(explanation).replace(" · ", "\n")
        label = f"{image_name(explanation)}\n{class_lines}" if with_name else class_lines
        row = rows.setdefault(label, [Cell(explanation.space.kind, image_panel(explanation, side))])
        drawn = map_panel(explanation, side, render)
        column = f"{explanation.method}\n{layer_label(explanation)}"
        caption = "zero everywhere" if explanation.zero_reason else f"max {float(explanation.cam.max()):.3g}"
        row.append(Cell(column, drawn, caption))
    return [GridRow(label, cells) for label, cells in rows.items()]


def write_grid(path: Path, rows: Sequence[GridRow], title: str, render: RenderOptions) -> Path:
    """Write one grid figure with rows of several images.

    Raises:
        OutputError: it cannot be written.
    """
    figure = grid_figure(rows, title, grid_color_bar(render), render.dpi)
    return write_output(path, encode_figure(figure, format_for_suffix(path)))
