"""The answers of the server as JSON values: maps as numbers, which the page colors."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcam_cli.images.load import LoadedImage
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.scaling import scale_map, scaled_size
from gradcam_cli.pipeline.prediction import Prediction, json_number
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.reporting.rerun import escape_for_display, rerun_command, shell_quote
from gradcam_cli.reporting.signal_lines import encode_signal
from gradcam_cli.serving.planes import Plane

OVERSAMPLING = 3
COLORMAPS = ("viridis", "inferno", "magma", "plasma", "cividis", "turbo", "jet", "hot", "gray", "autumn_r")


def colormaps() -> dict[str, str]:
    """Return the colors of each colormap, 256 times RGB, in base64."""
    return {name: base64.b64encode(color_table(name).tobytes()).decode() for name in COLORMAPS}


def map_values(heatmap: np.ndarray, side: int) -> dict[str, Any]:
    """Return a map (H, W) in 0..1, reduced to a longer side, as little-endian float32 in base64.

    Of a map of more than `OVERSAMPLING` times this side, only every n-th row and column is averaged: a map of a large
    photo is smooth, and reading all of its pixels takes longer than computing them.
    """
    h, w = scaled_size(heatmap.shape, side) if max(heatmap.shape) > side else heatmap.shape
    step = max(1, max(heatmap.shape) // (OVERSAMPLING * side))
    first = [min(step // 2, length - 1) for length in heatmap.shape]
    values = scale_map(heatmap[first[0] :: step, first[1] :: step], (h, w)).astype("<f4")
    return {"width": w, "height": h, "values": base64.b64encode(values.tobytes()).decode()}


def input_answer(image: LoadedImage) -> dict[str, Any]:
    """Return the size of an image, or what the page draws of an input of another kind.

    That is its kind, its size in x, y, z, its spacing in the order of the array's axes, and the values of a signal.
    """
    size = list(image.shape[::-1])
    if image.space.kind == "image":
        return {"width": size[0], "height": size[1]}
    spacing = [float(step) for step in image.space.spacing] or [0.0] * len(size)
    lines = {"signal": encode_signal(image.pixels)} if image.space.kind == "signal" else {}
    return {"kind": image.space.kind, "size": size, "spacing": spacing, **lines}


def map_answer(
    explanation: Explanation, plane: Plane, limit: float, command: Sequence[str], milliseconds: float
) -> dict[str, Any]:
    """Return the answer for one picture of a map.

    Args:
        explanation: the map.
        plane: the part of it in the picture.
        limit: the value with the last color.
        command: of the command line that writes it.
        milliseconds: time to compute it.
    """
    against = explanation.prediction.against
    return {
        **map_values(plane.heatmap, plane.side),
        "crop": plane.crop,
        "limit": limit,
        "largest": json_number(explanation.heatmap_max),
        "peak": plane.peak,
        "class": prediction_answer(explanation.prediction),
        "against": [prediction_answer(each) for each in against] or None,
        "layer": explanation.layer,
        "method": explanation.method,
        "cells": list(explanation.cam.shape),
        "is_zero": explanation.zero_reason is not None,
        "note": explanation.zero_reason or explanation.note,
        "command": " ".join(map(shell_quote, command)),
        "milliseconds": round(milliseconds, 1),
    }


def prediction_answer(prediction: Prediction) -> dict[str, Any]:
    """Return a class with its probability and its score."""
    score = prediction.logit if prediction.value is None else prediction.value
    return {
        "index": None if prediction.members else prediction.index,
        "name": escape_for_display(prediction.name or str(prediction.index)),
        "probability": json_number(prediction.probability),
        "score": json_number(score),
    }


def explain_command(explanation: Explanation, rerun_args: Sequence[str]) -> list[str]:
    """Return the command that writes a map.

    Args:
        explanation: the map.
        rerun_args: the options of the command line that the model and its maps require.
    """
    prediction = explanation.prediction
    record = {
        "input": explanation.source,
        "rerun_args": list(rerun_args),
        "layer": explanation.layer,
        "method": explanation.method,
        "class_index": None if prediction.members else prediction.index,
        "class_members": prediction.members or None,
        "requested_class": explanation.request_key[2],
    }
    return rerun_command(record, {})


def depth_command(explanation: Explanation, t: float, rerun_args: Sequence[str]) -> list[str]:
    """Return the command that writes a map at a depth t; the arguments are those of `explain_command`."""
    options = ["--times", f"{t:.12g}", "--method", explanation.method, "--class", str(explanation.prediction.index)]
    record = {"input": explanation.source, "depths": [t], "rerun_args": [*rerun_args, *options]}
    return rerun_command(record, {})
