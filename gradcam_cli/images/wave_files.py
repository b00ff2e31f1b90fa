"""Signals from WAV files."""

from __future__ import annotations

import io

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.bands import VALUES_PER_PIXEL, Bands
from gradcam_cli.images.damage import input_errors
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space

STARTS = (b"RIFF", b"RIFX", b"RF64")
"""First bytes of WAV files; the bytes 8 to 12 are `WAVE`."""
ID_BYTES = 4
"""Length of the name of a part; there may be none at the end."""
PART = 1 << 18
"""Samples that are converted at a time."""
UNSIGNED_ZERO = 128
"""The silence of samples of 8 bits, which are unsigned."""


def read_wave(data: bytes, options: ReadOptions) -> Decoded:
    """Read a WAV file of integers or floats.

    Args:
        data: the bytes of the file.
        options: the limit of its size.

    Returns:
        The samples (T, k) of k channels. Integers are divided by their full scale, so that they are in -1..1; floats
        are as they are stored. The spacing is that of the samples in seconds.

    Raises:
        InputError: the file is damaged, truncated, compressed, too large, or has values that are not finite.
    """
    from scipy.io import wavfile

    with input_errors("WAV file"):
        try:
            rate, samples = wavfile.read(_Whole(data))
        except UnboundLocalError as error:  # SciPy assumes that both parts are there
            raise InputError("damaged WAV file: expected a format and samples, got none") from error
        samples = samples if samples.ndim == 2 else samples[:, None]
        _check_size(samples.shape, options.max_pixels)
        values = _to_float32(samples)
        if rate < 1:
            raise InputError(f"damaged WAV file: expected a positive sampling rate, got {rate}")
        if not np.isfinite(values).all():
            raise InputError("expected finite values, got NaN or infinity")
        return Decoded(values, None, Bands(values, scaled=False), Space("signal", (1 / rate,)))


class _Whole(io.BytesIO):
    """A file whose parts must be as long as it declares; SciPy reads what is there."""

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        if size and max(len(part), ID_BYTES) < size:
            raise InputError(f"damaged WAV file: expected {size:,} more bytes, got {len(part):,}")
        return part


def _to_float32(samples: np.ndarray) -> np.ndarray:
    zero = UNSIGNED_ZERO if samples.dtype.kind == "u" else 0
    full_scale = 1.0 if samples.dtype.kind == "f" else 2.0 ** (8 * samples.dtype.itemsize - 1)
    values = np.empty(samples.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(samples), PART):
            values[start : start + PART] = (samples[start : start + PART] - np.float64(zero)) / full_scale
    return values


def _check_size(shape: tuple[int, ...], max_pixels: int) -> None:
    length, channels = shape
    if not length or not channels:
        raise InputError(f"expected at least one sample, got {length} of {channels} channels")
    if length > max_pixels or length * channels > VALUES_PER_PIXEL * max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} samples and {VALUES_PER_PIXEL * max_pixels:,} values, "
            f"got {length:,} samples of {channels} channels",
            "raise --max-pixels if you trust the file",
        )
