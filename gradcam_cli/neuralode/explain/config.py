"""The configuration of a run of `gradcam neuralode explain`."""

from __future__ import annotations

from dataclasses import dataclass

from gradcam_cli.images.decode import MAX_PIXELS

DEFAULT_TOL = 1e-5


@dataclass(frozen=True, kw_only=True)
class DepthConfig:
    """The model, the depths, the maps and how they are drawn.

    Attributes:
        model: path of the .keras file.
        labels: file of class names, or None.
        preprocess: name of the preprocessing; None: detected.
        allow_unsafe_model: whether code in the model file may run.
        block: name of the ODEBlock; None: the only one of the model.
        times: depths, or None.
        num_times: number of evenly spaced depths, or None.
        target_class: index, name or `top`.
        method: a name in `methods.registry.METHODS`.
        fit: `squash`, `crop` or `pad`.
        solver: a name in `tableaus.SOLVERS`; None: that of the block.
        tol: relative and absolute tolerance of the forward and backward solve.
        max_pixels: larger images are refused.
        cmap: name of a matplotlib colormap.
        opacity: opacity of the maps, 0..1.
    """

    model: str
    labels: str | None = None
    preprocess: str | None = None
    allow_unsafe_model: bool = False
    block: str | None = None
    times: list[float] | None = None
    num_times: int | None = None
    target_class: str = "top"
    method: str = "gradcam"
    fit: str = "squash"
    solver: str | None = None
    tol: float = DEFAULT_TOL
    max_pixels: int = MAX_PIXELS
    cmap: str = "jet"
    opacity: float = 0.5
