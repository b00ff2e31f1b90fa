"""Options that set how pictures of maps are drawn."""

from __future__ import annotations

from typing import Any

import click

from gradcam_cli.cli.click_extensions import combine_options, option_group
from gradcam_cli.cli.completion import complete_colormaps
from gradcam_cli.output.destination import FORMATS
from gradcam_cli.output.render_options import BACKGROUNDS, BLENDS, PIXEL_CLIP, RENDER_OPTIONS, RenderOptions

DEFAULT = RenderOptions()
_pictures = option_group("Pictures")

picture_options = combine_options(
    _pictures(
        "--opacity",
        "--alpha",
        "opacity",
        metavar="X",
        type=click.FloatRange(0, 1),
        default=DEFAULT.opacity,
        show_default=True,
        help="Opacity of the largest value of the map over the image.",
    ),
    _pictures(
        "--blend",
        type=click.Choice(BLENDS),
        default=DEFAULT.blend,
        show_default=True,
        help="opacity: smaller values are more transparent, zero is invisible; constant: all have the same opacity.",
    ),
    _pictures(
        "--cmap",
        default=DEFAULT.cmap,
        show_default=True,
        metavar="NAME",
        shell_complete=complete_colormaps,
        help="Name of a matplotlib colormap.",
    ),
    _pictures(
        "--background",
        type=click.Choice(BACKGROUNDS),
        default=DEFAULT.background,
        show_default=True,
        help="Show the map over the photo, or over the photo in gray.",
    ),
    _pictures(
        "--contour",
        "contours",
        multiple=True,
        metavar="LEVEL",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="Draw a contour line at this fraction of the map's maximum, repeatable: 0.5.",
    ),
    _pictures(
        "--clip",
        metavar="PERCENT",
        type=click.FloatRange(0, 100, max_open=True),
        help="Give the largest values, of this percentage of the pixels, one color; arrays and numbers do not change. "
        f"[default: {PIXEL_CLIP:g} for methods with a value for each input pixel, such as saliency; 0 for others]",
    ),
    _pictures(
        "--dpi",
        metavar="N",
        type=click.IntRange(20, 2400),
        default=DEFAULT.dpi,
        show_default=True,
        help="Resolution of figures in dots per inch.",
    ),
    _pictures(
        "--image-format",
        type=click.Choice(list(FORMATS)),
        help="Format of pictures; pdf and svg for figures, grids and montages. [default: png, or the suffix of -o]",
    ),
)


def render_options(options: dict[str, Any]) -> RenderOptions:
    """Return how pictures are drawn; defaults for what a command has no option for."""
    return RenderOptions(**{name: options[name] for name in RENDER_OPTIONS if name in options})
