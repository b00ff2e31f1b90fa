"""A preprocessing that the user writes out: a range, the order of the channels, mean and standard deviation."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import UsageError

RANGES = {"none": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
"""Ranges (low, high) to which 0..255 is scaled."""
BGR, MEAN, STD = "bgr", "mean", "std"
_EXAMPLE = "for example 0..1,mean=0.485,0.456,0.406,std=0.229,0.224,0.225 or bgr,mean=103.939,116.779,123.68"


class OwnPreprocess(NamedTuple):
    """x = (scaled pixels - mean) / std; the pixels are scaled first, then their channels are reversed.

    Attributes:
        scale: a key of `RANGES`.
        bgr: whether the channels are reversed.
        mean: one value, or one for each channel, in units of the range and in the order after the reversal.
        std: likewise.
    """

    scale: str = "none"
    bgr: bool = False
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def required_channels(self) -> int | None:
        """The number of channels that it requires, or None."""
        count = max(len(self.mean), len(self.std), 3 if self.bgr else 1)
        return count if count > 1 else None

    def __str__(self) -> str:
        """Return the text that `parse_own_preprocess` reads."""
        parts = [self.scale] + [BGR] * self.bgr
        for name, values, neutral in ((MEAN, self.mean, 0.0), (STD, self.std, 1.0)):
            if values != (neutral,):
                parts.append(f"{name}=" + ",".join(repr(value).removesuffix(".0") for value in values))
        return ",".join(parts)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the model input for pixels of 0..255, (n, h, w, c) float32."""
        x = scale_pixels(x, self.scale)
        x = x[..., ::-1] if self.bgr else x
        applied: np.ndarray = (x - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return applied


def scale_pixels(x: np.ndarray, name: str) -> np.ndarray:
    """Return pixels of 0..255, float32, scaled to a range."""
    low, high = RANGES[name]
    scaled: np.ndarray = x * np.float32((high - low) / 255) + np.float32(low)
    return scaled


def is_own_preprocess(text: str) -> bool:
    """Return whether a `--preprocess` value is written out, and no name."""
    return text == BGR or "," in text or "=" in text


@functools.cache
def parse_own_preprocess(text: str) -> OwnPreprocess:
    """Parse terms separated by commas: a range, `bgr`, `mean=M` or `mean=M1,M2,...`, and `std=` likewise.

    Raises:
        UsageError: a term is unknown or repeated, a number is invalid, or the range of the mean is unclear.
    """
    words, numbers = _split_terms(text)
    unknown = [word for word in words if word not in RANGES and word != BGR]
    scales = [word for word in words if word in RANGES]
    if unknown or len(scales) > 1 or len(words) != len(set(words)):
        reason = f"unknown term {unknown[0]!r}" if unknown else "expected one range, and bgr at most once"
        raise UsageError(f"--preprocess {text}: {reason}", _EXAMPLE)
    given = {name: _numbers(text, name, values) for name, values in numbers.items()}
    own = OwnPreprocess(scales[0] if scales else "none", BGR in words, **given)
    if not scales and given and max(map(abs, own.mean + own.std)) <= 1:
        raise UsageError(
            f"--preprocess {text}: the mean and std are of pixels in 0..1, but no range is given",
            f"write 0..1,{text}; or none,{text} if they are of pixels in 0..255",
        )
    counts = {len(own.mean), len(own.std), 3 if own.bgr else 1} - {1}
    if len(counts) > 1:
        raise UsageError(f"--preprocess {text}: expected the same number of values everywhere, got {sorted(counts)}")
    of_bands = own.scale == "none" and not counts <= {3}
    low, high = (-math.inf, math.inf) if of_bands else RANGES[own.scale]
    if not (low <= min(own.mean) and max(own.mean) <= high):
        raise UsageError(f"--preprocess {text}: mean: expected values in the range of the pixels, {low:g} to {high:g}")
    return own


def _split_terms(text: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the words of a text, and the texts of the numbers of `mean` and `std`."""
    words: list[str] = []
    numbers: dict[str, list[str]] = {}
    current: list[str] | None = None
    for term in (part.strip() for part in text.split(",")):
        name, equals, first = term.partition("=")
        if equals:
            if name not in (MEAN, STD) or name in numbers:
                reason = "is given twice" if name in numbers else "is unknown: expected mean or std"
                raise UsageError(f"--preprocess {text}: {name!r} {reason}", _EXAMPLE)
            current = numbers[name] = [first]
        elif current is None or term in RANGES or term == BGR:
            words.append(term)
            current = None
        else:
            current.append(term)
    return words, numbers


def _numbers(text: str, name: str, values: list[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except ValueError as error:
        raise UsageError(f"--preprocess {text}: {name}: expected numbers, got {','.join(values)}", _EXAMPLE) from error
    if not all(map(math.isfinite, numbers)):
        raise UsageError(f"--preprocess {text}: {name}: expected finite numbers")
    if name == STD and min(numbers) <= 0:
        raise UsageError(f"--preprocess {text}: std: expected numbers above 0, got {min(numbers):g}")
    return numbers
