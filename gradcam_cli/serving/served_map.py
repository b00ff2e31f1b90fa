"""A map that was computed, from which the answers for its slices are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gradcam_cli.output.colors import DEFAULT
from gradcam_cli.output.views import Shown
from gradcam_cli.pipeline.panels import shown
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.serving.answers import map_answer
from gradcam_cli.serving.planes import plane_of, profile, slice_axes


@dataclass(frozen=True)
class ServedMap:
    """A map, the command that writes it, and the milliseconds that it took."""

    explanation: Explanation
    command: Sequence[str]
    milliseconds: float

    @property
    def nbytes(self) -> int:
        """Size of the arrays in bytes."""
        explanation = self.explanation
        return explanation.image.nbytes + explanation.heatmap.nbytes + 2 * explanation.cam.nbytes

    def answer(self, axis: int = 0, number: int | None = None) -> dict[str, Any]:
        """Return the answer for a picture; arguments and errors are those of `plane_of`."""
        plane = plane_of(self._shown, axis, number)
        answer = map_answer(self.explanation, plane, self._shown.limit, self.command, self.milliseconds)
        if plane.slice is None:
            return answer
        return {**answer, "slice": {**plane.slice, "profile": self._profiles[axis]}}

    @cached_property
    def _shown(self) -> Shown:
        return shown(self.explanation, DEFAULT)

    @cached_property
    def _profiles(self) -> list[list[float]]:
        return [profile(self._shown.heatmap, axis) for axis in range(slice_axes(self._shown.space))]
