"""The configuration of a run of `gradcam neuralode explain`."""

from __future__ import annotations

from dataclasses import dataclass

from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.config import ModelConfig

DEFAULT_METHOD = "flow"
DEFAULT_TOL = 1e-5
DEFAULT_RENDER = RenderOptions(cmap="autumn_r", opacity=0.9)
"""From transparent over yellow to red: weak values are visible over black and over white."""


@dataclass(frozen=True, kw_only=True)
class DepthConfig:
    """The model, the depths, the maps and how they are drawn.

    Attributes:
        model: the model and how it is loaded.
        render: how the maps are drawn; the opacity is that of the largest value of all maps.
        block: name of the ODEBlock; None: the only one of the model.
        times: depths, or None.
        num_times: number of evenly spaced depths, or None.
        target_class: index, name or `top`.
        method: a name in `methods.registry.DEPTH_METHODS`.
        fit: `squash`, `crop` or `pad`.
        solver: a name in `tableaus.SOLVERS`; None: that of the block.
        tol: relative and absolute tolerance of the forward and backward solve.
        max_pixels: larger images are refused.
        max_value: value of white in 16-bit and float images, or None.
    """

    model: ModelConfig
    render: RenderOptions = DEFAULT_RENDER
    block: str | None = None
    times: list[float] | None = None
    num_times: int | None = None
    target_class: str = "top"
    method: str = DEFAULT_METHOD
    fit: str = "squash"
    solver: str | None = None
    tol: float = DEFAULT_TOL
    max_pixels: int = MAX_PIXELS
    max_value: int | None = None
