"""The `.npy` and `.npz` files of a map."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.pipeline.origin import ORIGIN_KEY, Origin

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation


def encode_npy(heatmap: np.ndarray) -> bytes:
    """Return an array as an `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, heatmap)
    return buffer.getvalue()


def encode_npz(explanation: Explanation, origin: Origin | None, rerun_args: Sequence[str] | None) -> bytes:
    """Return an `.npz` file with the arrays of a map, its class, layer and score, and its metadata as JSON.

    Args:
        explanation: the map.
        origin: the image, the model and the options of the run.
        rerun_args: the options of the command that recompute the map.
    """
    texts = {"class": str(explanation.prediction), "layer": explanation.layer, "score": explanation.settings.score}
    arrays = {name: np.array(text) for name, text in texts.items()}
    further = {ORIGIN_KEY: origin, "rerun_args": rerun_args and list(rerun_args)}
    metadata = explanation.metadata() | {key: value for key, value in further.items() if value is not None}
    arrays["metadata"] = np.array(json.dumps(metadata))
    if explanation.alpha is not None:
        arrays["alpha"] = explanation.alpha
    if explanation.difference is not None:
        arrays["difference"] = explanation.difference
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, heatmap=explanation.heatmap, cam=explanation.cam, **arrays)
    return buffer.getvalue()
