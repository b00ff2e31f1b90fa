"""An explanation as HTML, as a notebook shows it: the map, the predictions and the settings."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from gradcam_cli.pipeline.config import DEFAULTS

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation

ALWAYS_SHOWN = ("score", "fit")
"""Settings that are shown even if they have their default value."""
VALUES = {"signal": "samples", "image": "pixels", "volume": "voxels", "film": "pixels and frames"}
"""What the size of an input counts: samples, or columns x rows x slices or frames."""
_CELL = 'style="text-align:left;padding:0.1em 1em 0.1em 0"'


def explanation_html(explanation: Explanation, png: bytes, max_predictions: int = 5) -> str:
    """Return HTML without external resources, scripts or style sheets; all texts are escaped.

    Args:
        explanation: the map.
        png: the picture that shows it.
        max_predictions: number of predictions to list.
    """
    source = f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
    predictions = [
        (str(each), f"{each.probability:.3f}" if each.value is None else f"{each.value:.4g}")
        for each in explanation.predictions[:max_predictions]
    ]
    tables = _table("Prediction", predictions) + _table("Setting", list(_settings(explanation).items()))
    return (
        f'<div><img alt="{escape(explanation.title)}" src="{source}" style="max-width:100%">'
        f'<div style="display:flex;flex-wrap:wrap;gap:2em;align-items:flex-start">{tables}</div></div>'
    )


def _settings(explanation: Explanation) -> dict[str, str]:
    """Return what was explained and how: all settings that are not the default, and notes."""
    windows, cells = explanation.windows, f"{'x'.join(map(str, explanation.cam.shape))} cells"
    cells = f"{windows} windows" if windows else cells
    kind, size = explanation.space.kind, "x".join(map(str, reversed(explanation.heatmap.shape)))
    shown: dict[str, Any] = {
        kind: f"{explanation.source}, {size} {VALUES[kind]}",
        "model": explanation.model.name,
        "class": str(explanation.prediction),
        "layer": f"{explanation.layer}, {cells}",
        "method": explanation.method,
        "preprocessing": explanation.model.preprocess.mode,
    }
    for name, value in explanation.settings.map_settings().items():
        if name in ALWAYS_SHOWN or value != DEFAULTS[name]:
            shown[name] = value
    notes = {"note": explanation.note, "zero map": explanation.zero_reason}
    if explanation.model.preprocess.guess:
        shown["preprocessing"] += f" (a guess: {explanation.model.preprocess.reason})"
    return {name: str(value) for name, value in (shown | {k: v for k, v in notes.items() if v}).items()}


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    """Return a table with a heading over its two columns."""
    cells = "".join(f"<tr><td {_CELL}>{escape(name)}</td><td {_CELL}>{escape(value)}</td></tr>" for name, value in rows)
    return f'<table><thead><tr><th colspan="2" {_CELL}>{escape(title)}</th></tr></thead><tbody>{cells}</tbody></table>'
