"""What a run gives: explanations of an input, or the reason why there is none."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images import encode
from gradcam_cli.images.fit import Box
from gradcam_cli.methods import maps
from gradcam_cli.output import figures
from gradcam_cli.output.destination import SHEET, SUFFIXES, format_of, kind_of
from gradcam_cli.storage.paths import name_of, place

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradcam_cli.storage.checksum import Checksum

from gradcam_cli.storage.files import write


@dataclass(frozen=True)
class Prediction:
    """One class as the model scores it.

    Attributes:
        index: the class.
        name: its name, or None.
        id: its WordNet id, or None.
        logit: its score before the last activation, or None where the model hides it.
        probability: 0..1.
    """

    index: int
    name: str | None
    id: str | None
    logit: float | None
    probability: float

    def __str__(self) -> str:
        return f"{self.index} {self.name}" if self.name not in (None, str(self.index)) else str(self.index)


@dataclass(frozen=True)
class Setting:
    """How all maps of a run were made: the names of the options and of the model's files."""

    model: str
    weights: str | None
    weights_hash: Checksum | None
    score: str
    fit: str
    preprocessing: str
    precision: str
    batch_size: int
    zoom_order: int
    counterfactual: bool = False
    smooth: bool = False

    @property
    def weights_sha256(self) -> str | None:
        """The hash of the weights' file, which is read for it."""
        return self.weights_hash.result() if self.weights_hash else None


@dataclass(frozen=True, eq=False)
class Explanation:
    """One map of one image for one class at one layer.

    Attributes:
        source: the input's name.
        sha256: of the input's bytes, or None for an array.
        photo: (H, W, 3) uint8 RGB.
        map: (H, W) float32 in 0..1, the enlarged map divided by its maximum.
        raw: (u, v) float32, the map L_c before enlarging, in units of the score.
        signed: (u, v) float32, what `raw` is the ReLU of.
        alpha: (k,) float32, the weights of the channels, or None for methods that weigh cells.
        view: the part of the photo that the network saw.
        prediction: the class that is explained.
        top: the model's largest predictions.
        layer: path of the layer.
        method: name of the method.
        requested: how layer, method and class were asked for, as file names use it.
        zero: why the map is zero everywhere, or None.
        setting: what holds for the whole run.
        seconds: time spent, by stage.
    """

    source: str
    sha256: str | None
    photo: np.ndarray = field(repr=False)
    map: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    signed: np.ndarray = field(repr=False)
    alpha: np.ndarray | None = field(repr=False)
    view: Box
    prediction: Prediction
    top: tuple[Prediction, ...] = field(repr=False)
    layer: str
    method: str
    requested: tuple[str, str, str] = field(repr=False)
    zero: str | None
    setting: Setting = field(repr=False)
    seconds: dict[str, float] = field(repr=False)

    @cached_property
    def peak(self) -> tuple[int, int] | None:
        """(x, y) of the largest value, in the photo's pixels."""
        return maps.peak(self.map)

    @cached_property
    def box(self) -> Box | None:
        """The box around the largest connected region above 15 % of the maximum."""
        return maps.box(self.map)

    def identity(self) -> dict[str, Any]:
        """Return what the map is of and how it was made, under the keys of the JSON lines."""
        chosen = self.prediction
        return {
            "input": self.source,
            "sha256": self.sha256,
            "model": self.setting.model,
            "layer": self.layer,
            "method": self.method,
            "score": self.setting.score,
            "class_index": chosen.index,
            "class_name": chosen.name,
            "probability": finite(chosen.probability),
            "class_asked": self.requested[2],
            "fit": self.setting.fit,
            "precision": self.setting.precision,
            "zoom_order": self.setting.zoom_order,
            "counterfactual": self.setting.counterfactual,
            "smooth": self.setting.smooth,
        }

    @property
    def title(self) -> str:
        """Class number, class name, probability and layer, as the figure shows them."""
        zero = " · the map is zero everywhere" if self.zero else ""
        return f"{self.prediction} · p = {self.prediction.probability:.3f} · {self.layer}{zero}"

    def overlay(self, cmap: str = "jet", alpha: float = 0.5) -> np.ndarray:
        """Return the photo with the map over it, (H, W, 3) uint8."""
        return figures.overlay(self.photo, self.map, self.view, cmap, alpha)

    def figure(self, cmap: str = "jet", alpha: float = 0.5, dpi: int = 150) -> Figure:
        """Return a matplotlib figure of the photo beside the photo with the map over it."""
        return figures.figure(self.photo, self.overlay(cmap, alpha), self.title, dpi)

    def encode(
        self, kind: str, picture_format: str = "png", *, cmap: str = "jet", alpha: float = 0.5, dpi: int = 150
    ) -> bytes:
        """Return the bytes of a file; the same explanation gives the same bytes.

        Args:
            kind: one of `outputs.SUFFIXES`.
            picture_format: one of `outputs.FORMATS`, for pictures.
            cmap: name of a matplotlib colour map.
            alpha: how strongly the map covers the photo, 0..1.
            dpi: dots an inch of the figure.
        """
        if kind == "figure":
            return figures.encode_figure(self.figure(cmap, alpha, dpi), picture_format)
        if kind == "overlay":
            return encode.encode(self.overlay(cmap, alpha), picture_format)
        if kind == "heatmap":
            return encode.encode(figures.heatmap(self.map, self.view, cmap), picture_format)
        buffer = io.BytesIO()
        if kind == "npy":
            np.save(buffer, self.map)
        else:
            texts = {"class": str(self.prediction), "layer": self.layer, "score": self.setting.score}
            arrays = {name: np.array(text) for name, text in texts.items()}
            arrays["record"] = np.array(json.dumps(self.identity()))
            if self.alpha is not None:
                arrays["alpha"] = self.alpha
            np.savez(buffer, allow_pickle=False, map=self.map, raw=self.raw, **arrays)
        return buffer.getvalue()

    def save(self, path: str | os.PathLike[str], kind: str | None = None, **look: Any) -> Path:
        """Write a file, replacing an older one at once.

        Args:
            path: where to, perhaps a URL such as `s3://bucket/map.png`.
            kind: one of `outputs.SUFFIXES`; without it, `.npy` and `.npz` say themselves and a picture is the figure.
            look: `cmap`, `alpha` (0..1) and `dpi`.

        Raises:
            UsageError: the kind is unknown, or the suffix belongs to another kind.
            OutputError: the file cannot be written.
        """
        target = place(path)
        kind = kind or kind_of(target)
        if kind == SHEET:
            return write(target, encode_sheet([self], format_of(target), **look))
        if target.suffix.lower() not in SUFFIXES.get(kind, ()):
            raise UsageError(f"{target}: expected a name ending in {', '.join(SUFFIXES.get(kind, ()))} for {kind}")
        return write(target, self.encode(kind, format_of(target), **look))


def encode_sheet(
    explanations: Sequence[Explanation],
    picture_format: str = "png",
    *,
    cmap: str = "jet",
    alpha: float = 0.5,
    dpi: int = 150,
) -> bytes:
    """Return the file of one sheet with all maps of a photo: a row a class, a column a method and layer."""
    rows: dict[str, list[figures.Cell]] = {}
    for one in explanations:
        row = rows.setdefault(_label(one), [(_label(one), one.photo)])
        row.append((f"{one.method} · {one.layer}", one.overlay(cmap, alpha)))
    return figures.encode_figure(figures.sheet(list(rows.values()), dpi), picture_format)


def sheet_row(
    explanations: Sequence[Explanation], cmap: str = "jet", alpha: float = 0.5, dpi: int = 150
) -> list[figures.Cell]:
    """Return one photo's row on a sheet of several: the photo, then its maps, small as they are drawn."""
    first = explanations[0]
    several = len({one.prediction.index for one in explanations}) > 1
    row = [(f"{name_of(first.source)}: {_label(first)}", figures.shrink_to_cell(first.photo, dpi))]
    for one in explanations:
        label = f"{one.method} · {one.layer}" + (f" · {_label(one)}" if several else "")
        row.append((label, figures.shrink_to_cell(one.overlay(cmap, alpha), dpi)))
    return row


def _label(one: Explanation) -> str:
    return f"{one.prediction} · p = {one.prediction.probability:.3f}"


def finite(value: float | None) -> float | None:
    """Return a number as JSON can hold it: None for NaN and infinity."""
    return value if value is not None and math.isfinite(value) else None
