"""The configuration of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ExplainConfig:
    """What is asked of a run; the options of `gradcam explain` of the same names.

    Attributes:
        layers: paths, or `auto`.
        classes: indices, names, `top_k`, `topN`.
        methods: names in `methods.registry.METHODS`.
        score: `logit` or `softmax`.
        fit: `squash`, `crop` or `pad`.
        zoom_order: 0..3.
        top_k: how many predictions to list.
        batch_size: images a pass; None chooses by the model's size and the memory that is free.
        precision: a name in `precision.PRECISIONS`.
        counterfactual: whether the gradients are negated: what speaks against the class (Selvaraju et al. 2017, 3.3).
        aug_smooth: whether maps are averaged over mirrored, darker and brighter copies of the photo.
        max_channels: how many channels Score-CAM masks with; None takes all.
    """

    layers: Sequence[str] = ("auto",)
    classes: Sequence[str | int] = ("top",)
    methods: Sequence[str] = ("gradcam",)
    score: str = "logit"
    fit: str = "squash"
    zoom_order: int = 1
    top_k: int = 5
    batch_size: int | None = None
    precision: str = "float32"
    counterfactual: bool = False
    aug_smooth: bool = False
    max_channels: int | None = None
