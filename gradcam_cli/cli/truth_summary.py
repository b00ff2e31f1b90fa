"""The count of right, wrong and unknown predictions of a run."""

from __future__ import annotations

from collections import Counter

from gradcam_cli.console import log
from gradcam_cli.engines.job import JobResult
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.truth import STATES, state_of

MAX_REASONS = 5
"""Reasons for unknown true classes that are listed; further ones are only counted."""


class TruthSummary:
    """Count the results of a run with `--truth`.

    Args:
        only: the value of `--only`, or None.
        expected: whether the true class is the one that `--expect` names.
    """

    def __init__(self, only: str | None, *, expected: bool = False) -> None:
        self.only, self.expected = only, expected
        self.states: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.not_judged: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()

    @classmethod
    def of(cls, config: ExplainConfig) -> TruthSummary:
        """Return the count for a run."""
        return cls(config.only, expected=config.truth is not None and config.truth.expected is not None)

    def add(self, result: JobResult) -> None:
        """Count the result of one input."""
        if result.truth is None:
            self.not_judged[result.status] += 1
            return
        state = state_of(result.truth)
        self.states[state] += 1
        if result.left_out:
            self.left_out[state] += 1
        if state == "unknown":
            self.reasons[str(result.truth.get("unknown"))] += 1

    @property
    def accuracy(self) -> float | None:
        """The fraction of right predictions among the images with a known true class, or None without one."""
        known = self.states["right"] + self.states["wrong"]
        return self.states["right"] / known if known else None

    @property
    def text(self) -> str:
        """The counts, for example `accuracy 0.800 (8 of 10 right), 2 unknown`."""
        right, wrong, unknown = (self.states[state] for state in STATES)
        accuracy = f"{self.accuracy:.3f} ({right:,} of {right + wrong:,} right)" if right + wrong else "unknown"
        left_out = [f"{count:,} {state}" for state in STATES if (count := self.left_out[state])]
        total = f"{right:,} of {right + wrong:,} as expected" if self.expected else None
        parts = [
            total or f"accuracy {accuracy}, {unknown:,} unknown",
            *([f"left out by --only {self.only}: {', '.join(left_out)}"] if left_out else []),
            *(f"not counted: {count:,} {status}" for status, count in self.not_judged.items()),
        ]
        return "; ".join(parts)

    def log_unknown(self) -> None:
        """Log why true classes are unknown."""
        for reason, count in self.reasons.most_common(MAX_REASONS):
            log.warning("true class unknown for %s: %s", "1 image" if count == 1 else f"{count:,} images", reason)
        if (further := len(self.reasons) - MAX_REASONS) > 0:
            log.warning("true class unknown for further images: %d other reasons, one in each result", further)
        if self.states["unknown"] and self.accuracy is None:
            log.warning("no image has a known true class: nothing is right or wrong")
