"""An explanation: one map, its metadata, and its files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.boxes import draw_box
from gradcam_cli.images.space import IMAGE, Space
from gradcam_cli.methods import maps
from gradcam_cli.output import colors
from gradcam_cli.output.destination import (
    ARTIFACT_SUFFIXES,
    GRID,
    artifact_for_suffix,
    format_for_suffix,
    require_kind,
)
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.render_options import render_options
from gradcam_cli.output.views import VIEWS
from gradcam_cli.pipeline import captions
from gradcam_cli.pipeline.artifacts import encode_artifact
from gradcam_cli.pipeline.config import RunSettings
from gradcam_cli.pipeline.explanation_html import explanation_html
from gradcam_cli.pipeline.grids import encode_grid
from gradcam_cli.pipeline.origin import Origin
from gradcam_cli.pipeline.panels import shown
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import as_path, full_suffix
from gradcam_cli.storage.protected import ProtectedInputs, protected_inputs

NOTEBOOK_DPI = 100
"""Resolution of the figure that a notebook shows, in dots per inch."""

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradcam_cli.models.preprocessing import PreprocessChoice
    from gradcam_cli.pipeline.truth import Truth
    from gradcam_cli.storage.checksum import LazySha256


@dataclass(frozen=True)
class ModelInfo:
    """The model that computed a map.

    Attributes:
        name: as the user named it.
        weights: name of the weights' file, or None.
        weights_hash: SHA-256 of that file, computed on demand, or None.
        preprocess: the preprocessing, and why it was chosen.
    """

    name: str
    weights: str | None
    weights_hash: LazySha256 | None
    preprocess: PreprocessChoice

    @property
    def weights_sha256(self) -> str | None:
        """SHA-256 of the weights' file."""
        return self.weights_hash.result() if self.weights_hash else None


@dataclass(frozen=True, eq=False)
class Explanation:
    """One map of one image, or of an input of another kind, for one class at one layer.

    Below, (H, W) and (u, v) stand for any number of spatial axes: (T,) of a signal, (D, H, W) of a volume, (T, H, W) of
    a film.

    Attributes:
        source: name of the input.
        sha256: SHA-256 of the input's bytes, or None for an array.
        image: (H, W, 3) uint8 RGB; of a signal, its values (T, k) float32.
        heatmap: (H, W) float32 in 0..1: the upsampled map divided by its maximum.
        cam: (u, v) float32: the map L_c at the layer's resolution, in units of the score.
        cam_pre_relu: (u, v) float32: `cam` before its ReLU.
        alpha: (k,) float32, the channel weights alpha_k^c, or None for methods without channel weights.
        crop_box: the part of the image that the model input shows.
        map_box: the part of the image that the cells of the layer cover.
        input_box: the part of the model input that they cover.
        detection_box: the box of the explained anchor, in pixels of the image, or None.
        prediction: the class that is explained.
        predictions: the classes with the largest scores.
        layer: path of the layer.
        method: name of the method.
        request_key: layer, method and class as requested; file names use them.
        zero_reason: why the map is zero everywhere, or None.
        model: the model.
        settings: the settings of the run.
        timings: seconds spent, by stage.
        note: what was assumed about the values of the image, or None.
        truth: whether the prediction for the image is right, or None without true classes.
        difference: (u, v) float32: L of the predicted class minus that of the true class, in units of the score, for
            the map of `truth` in a run with `top`; otherwise None.
        space: the kind of the input, and the places of its values.
        windows: number of windows whose maps were blended; then `cam` has the size of the input. 0 without windows.
    """

    source: str
    sha256: str | None
    image: np.ndarray = field(repr=False)
    heatmap: np.ndarray = field(repr=False)
    cam: np.ndarray = field(repr=False)
    cam_pre_relu: np.ndarray = field(repr=False)
    alpha: np.ndarray | None = field(repr=False)
    crop_box: Box
    map_box: Box
    input_box: Box
    prediction: Prediction
    predictions: tuple[Prediction, ...] = field(repr=False)
    layer: str
    method: str
    request_key: tuple[str, str, str] = field(repr=False)
    detection_box: Box | None = field(repr=False)
    zero_reason: str | None
    model: ModelInfo = field(repr=False)
    settings: RunSettings = field(repr=False)
    timings: dict[str, float] = field(repr=False)
    note: str | None = field(default=None, repr=False)
    truth: Truth | None = field(default=None, repr=False)
    difference: np.ndarray | None = field(default=None, repr=False)
    space: Space = IMAGE
    windows: int = 0

    @cached_property
    def peak(self) -> tuple[int, ...] | None:
        """(x, y) of the largest value, in pixels of the image; (x,) of a signal, (x, y, z) of a volume or film."""
        return maps.peak(self.heatmap)

    @cached_property
    def box(self) -> Box | None:
        """The box around the largest connected region above 15 % of the maximum."""
        return maps.bounding_box(self.heatmap)

    def metadata(self) -> dict[str, Any]:
        """Return what the map shows and how it was computed, under the keys of the JSON lines."""
        return {
            "input": self.source,
            "sha256": self.sha256,
            "model": self.model.name,
            "preprocess": self.model.preprocess.mode,
            "layer": self.layer,
            "method": self.method,
            **self.prediction.metadata(),
            "requested_class": self.request_key[2],
            **self.settings.map_settings(),
            **({"truth": self.truth.to_json()} if self.truth else {}),
            **self.space.metadata(),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what `gradcam INPUT --json` prints for the map, without files, `schema_version` and `versions`."""
        from gradcam_cli.pipeline.json_lines import explanation_dict

        return explanation_dict(self)

    @cached_property
    def heatmap_max(self) -> float:
        """The largest value of the upsampled map in the image, in the units of `cam`: the value of 1 in the heatmap."""
        return maps.value_at(self.cam, self.map_box, self.peak, self.settings.interpolation) if self.peak else 0.0

    @property
    def title(self) -> str:
        """The heading of figures in one line: image, class, probability, method, layer and its size, model."""
        return " · ".join(captions.heading(self))

    def overlay(self, **options: Any) -> np.ndarray:
        """Return the image with the map and the box of a detection drawn over it, (H, W, 3) uint8.

        Args:
            **options: the values of `RenderOptions`, as in `save`.
        """
        require_kind("overlay", self.space.kind)
        render = render_options(**options)
        limit = captions.color_limit(self.heatmap, self.method, render)
        pixels = colors.overlay(self.image, self.heatmap, self.crop_box, render, limit)
        return draw_box(pixels, self.detection_box) if self.detection_box else pixels

    def figure(self, **options: Any) -> Figure:
        """Return a matplotlib figure: the image, next to it the image with the map, and the color bar.

        A signal is a line colored by its map; a volume three slices through the peak; a film a curve and frames.

        Args:
            **options: the values of `RenderOptions`, as in `save`.
        """
        render = render_options(**options)
        view, bar = VIEWS[self.space.kind], captions.color_bar(self, render)
        return view.figure(shown(self, render), captions.heading(self), bar, render)

    @cached_property
    def _png(self) -> bytes:
        return encode_figure(self.figure(dpi=NOTEBOOK_DPI))

    def _repr_png_(self) -> bytes:
        return self._png

    def _repr_html_(self) -> str:
        return explanation_html(self, self._png)

    def encode(
        self,
        kind: str,
        image_format: str = "png",
        *,
        origin: Origin | None = None,
        rerun_args: Sequence[str] | None = None,
        **options: Any,
    ) -> bytes:
        """Return the bytes of a file; the same explanation gives the same bytes.

        A picture carries a comment with what it shows and how it was computed, an `.npz` file the same as `metadata`.

        Args:
            kind: a key of `output.destination.ARTIFACT_SUFFIXES`, but not `grid`.
            image_format: a key of `output.destination.FORMATS`; `gif` or `mp4` for a film, `nii` without compression.
            origin: the image, the model and the options of the run, saved with the file.
            rerun_args: the options of the command that recompute the map, saved in an `.npz` file.
            **options: the values of `RenderOptions`, as in `save`.

        Raises:
            UsageError: the kind does not show inputs of this kind, or a film requires a package.
        """
        return encode_artifact(self, kind, image_format, origin, rerun_args, **options)

    def save(self, path: str | os.PathLike[str], kind: str | None = None, **options: Any) -> Path:
        """Write a file; an existing file is replaced atomically.

        Args:
            path: a path, or a URL such as `s3://bucket/map.png`.
            kind: a key of `output.destination.ARTIFACT_SUFFIXES`; by default the first with the suffix: `figure` for
                `.png`, `film` for `.gif`, `nifti` for `.nii.gz`.
            **options: how pictures are drawn: `cmap`, `opacity` (0..1), `blend` (`opacity` or `constant`), `background`
                (`photo` or `gray`), `contours` (levels in 0..1), `clip` (percent) and `dpi`.

        Raises:
            UsageError: the kind does not exist, or the suffix does not fit the kind.
            OutputError: the file cannot be written, or is the explained image.
        """
        target = as_path(path)
        kind = kind or artifact_for_suffix(target)
        image_format = format_for_suffix(target)
        if full_suffix(str(target)) not in ARTIFACT_SUFFIXES.get(kind, ()):
            suffixes = ", ".join(ARTIFACT_SUFFIXES.get(kind, ()))
            raise UsageError(f"{target}: expected a name ending in {suffixes} for {kind}")
        encode_map = partial(encode_grid, [self]) if kind == GRID else partial(self.encode, kind)
        with protected_inputs(ProtectedInputs(self.source)):
            return write_output(target, encode_map(image_format, **options))
