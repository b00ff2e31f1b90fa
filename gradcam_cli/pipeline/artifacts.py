"""The files of a map: each kind of `--save` with the function that encodes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcam_cli.images.encode import encode
from gradcam_cli.output import colors
from gradcam_cli.output.destination import DIFFERENCE, require_kind
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.packages import NIFTI, require_package
from gradcam_cli.output.render_options import RenderOptions, render_options
from gradcam_cli.output.views.stack import encode_film, montage
from gradcam_cli.pipeline import captions
from gradcam_cli.pipeline.differences import encode_difference
from gradcam_cli.pipeline.map_arrays import encode_npy, encode_npz
from gradcam_cli.pipeline.origin import Origin, picture_comment
from gradcam_cli.pipeline.panels import shown

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation

Draw = Callable[["Explanation", str, RenderOptions, str], bytes]
"""(explanation, image format, render, comment) -> the bytes of a picture."""


def encode_artifact(
    explanation: Explanation,
    kind: str,
    image_format: str,
    origin: Origin | None,
    rerun_args: Sequence[str] | None,
    **options: Any,
) -> bytes:
    """Return the bytes of a file; the arguments are those of `Explanation.encode`.

    Raises:
        UsageError: the kind does not show inputs of this kind, or a film requires a package.
    """
    require_kind(kind, explanation.space.kind)
    if kind == "npy":
        return encode_npy(explanation.heatmap)
    if kind == "npz":
        return encode_npz(explanation, origin, rerun_args)
    if kind == "nifti":
        require_package(*NIFTI)
        from gradcam_cli.images.nifti import write_nifti

        return write_nifti(explanation.heatmap, explanation.space, compressed=image_format != "nii")
    comment = picture_comment([explanation.metadata()], origin)
    return DRAWINGS[kind](explanation, image_format, render_options(**options), comment)


def _figure(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    return encode_figure(explanation.figure(**render.values()), image_format, comment)


def _overlay(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    return encode(explanation.overlay(**render.values()), image_format, comment)


def _heatmap(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    limit = captions.color_limit(explanation.heatmap, explanation.method, render)
    pixels = colors.render_heatmap(explanation.heatmap, explanation.crop_box, render.cmap, limit)
    return encode(pixels, image_format, comment)


def _montage(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    bar = captions.color_bar(explanation, render)
    figure = montage(shown(explanation, render), captions.heading(explanation), bar, render)
    return encode_figure(figure, image_format, comment)


def _film(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    return encode_film(shown(explanation, render), render, image_format, comment)


DRAWINGS: dict[str, Draw] = {
    "figure": _figure,
    "overlay": _overlay,
    "heatmap": _heatmap,
    "montage": _montage,
    "film": _film,
    DIFFERENCE: encode_difference,
}
"""How each kind of picture is drawn; a grid shows several maps, and is drawn by `pipeline.grids`."""
