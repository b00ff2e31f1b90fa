"""How a run reads its inputs."""

from __future__ import annotations

from gradcam_cli.errors import UsageError
from gradcam_cli.images.axes import INPUTS_OF_RANK, parse_axes, parse_window, require_axes_of
from gradcam_cli.images.read_options import MAX_PIXELS, ReadOptions
from gradcam_cli.images.space import RANKS
from gradcam_cli.pipeline.config import RunSettings


def read_options_of(settings: RunSettings, rank: int, max_pixels: int = MAX_PIXELS) -> ReadOptions:
    """Return how the inputs of a run are read.

    Args:
        settings: of the run.
        rank: number of spatial axes of the model input.
        max_pixels: limit of the size of an input.

    Raises:
        UsageError: a setting is not for the inputs of the model, or the value of white and a window are given.
    """
    axes = parse_axes(settings.axes) if settings.axes else None
    if axes:
        require_axes_of(axes, rank)
    window = parse_window(settings.window) if settings.window else None
    if window and settings.max_value:
        raise UsageError("max_value and window exclude each other: both scale the values to 0..255")
    if rank == RANKS["signal"]:
        for name, value in (("max_value", settings.max_value), ("window", window), ("rgb", settings.rgb)):
            if value is not None:
                raise UsageError(f"{name}: not for {INPUTS_OF_RANK[rank]}, which reach the model as they are stored")
    return ReadOptions(max_pixels, settings.max_value, settings.rgb, rank, axes, window)


def require_model_of_images(rank: int, what: str) -> None:
    """Check that a model takes images.

    Args:
        rank: number of spatial axes of the model input.
        what: the command or function that requires it, for the message.

    Raises:
        UsageError: it takes signals, or volumes and films.
    """
    if rank != RANKS["image"]:
        raise UsageError(f"{what} requires a model of images, got one of {INPUTS_OF_RANK[rank]}")
