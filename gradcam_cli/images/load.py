"""Reading and decoding of one image source."""

from __future__ import annotations

import hashlib
import io
import logging
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcam_cli.console import Announcement, log
from gradcam_cli.errors import InputError
from gradcam_cli.images import input_files
from gradcam_cli.images.bands import Bands
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.memory import ACTIVE, WAITING
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.source import SeriesSource, Source
from gradcam_cli.images.space import IMAGE, Space

BYTES_PER_PIXEL, MAX_HEADER_BYTES = 8, 1 << 24
"""Upper limits of an image file's size: four channels of 16 bits, and its headers."""
LARGE_FILE_BYTES = 1 << 26
"""Larger files are decoded at most two at a time, since a header of this size is copied several times."""
MAX_PICKLED_BYTES = 1 << 24
"""Pixels that processes exchange; a batch of the Ray engine holds up to 64 images."""


def _no_file() -> Decoded:
    raise InputError("the pixels come from no file")


class LoadedImage:
    """A decoded image, or an input of another kind.

    Attributes:
        name: path or URL, or `-` for standard input.
        sha256: hash of the file, or None for pixels that come from an array.
        seconds: time to read and decode it.
        shape: (H, W), or the spatial shape of an input of another kind.
        note: a message about its values, or None.
        space: the kind of the input, and the places of its values.

    Args:
        name, sha256, seconds, note, space: the attributes.
        pixels: (H, W, 3) uint8 RGB; see `Decoded` for the other kinds.
        decode_again: returns the same image, or raises InputError; None if there is no file to read.
        bands: the values of all its bands, or None.
    """

    def __init__(
        self,
        name: str,
        pixels: np.ndarray,
        sha256: str | None = None,
        seconds: float = 0.0,
        decode_again: Callable[[], Decoded] | None = None,
        note: Announcement | None = None,
        bands: Bands | None = None,
        space: Space = IMAGE,
    ) -> None:
        self.name, self.sha256, self.seconds, self.note, self.space = name, sha256, seconds, note, space
        self.shape: tuple[int, ...] = pixels.shape[: space.rank]
        self._decoded: Decoded | None = Decoded(pixels, None, bands, space)
        self._decode_again = decode_again or _no_file
        self._counted = False

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the attributes; large pixels are dropped, and the receiving process decodes them again."""
        small = self._decoded is not None and self._decoded.nbytes <= MAX_PICKLED_BYTES
        kept = self._decoded if small or self._decode_again is _no_file else None
        return {**self.__dict__, "_counted": False, "_decoded": kept}

    @property
    def pixels(self) -> np.ndarray:
        """The pixels, as `Decoded` has them; they are decoded again if they were dropped.

        Raises:
            InputError: the file has changed or cannot be read any more.
        """
        return self.decoded().pixels

    def decoded(self) -> Decoded:
        """Return the pixels and the bands; they are decoded again if they were dropped.

        Raises:
            InputError: the file has changed or cannot be read any more.
        """
        return self._decode_again() if self._decoded is None else self._decoded

    def log_note(self) -> None:
        """Log the note, if there is one."""
        if self.note:
            log.log(*self.note)

    def wait(self) -> None:
        """Drop the pixels if the budget of waiting images is used up and the file can be decoded again."""
        if self._decode_again is _no_file or self._decoded is None or self._counted:
            return
        if WAITING.try_acquire(self._decoded.nbytes):
            self._counted = True
            weakref.finalize(self, WAITING.release, self._decoded.nbytes).atexit = False
        else:
            self._decoded = None


@dataclass(frozen=True)
class Failure:
    """An input that could not be explained.

    Attributes:
        source: the input's name.
        error: the reason.
        hint: how to fix it, or None.
    """

    source: str
    error: str
    hint: str | None = None
    status = "failed"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, as `gradcam evaluate --json` prints it."""
        return unexplained_dict(self)


@dataclass(frozen=True)
class Skipped:
    """An input that was skipped because its output files exist.

    Attributes:
        source: the input's name.
        hint: another reason, or None.
        truth: JSON object of its true class and its prediction, which its files carry, or None.
    """

    source: str
    error: None = None
    hint: str | None = None
    truth: Mapping[str, Any] | None = None
    status = "skipped"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object, without the true class."""
        return unexplained_dict(self)


Unexplained = Failure | Skipped
"""An input without a map."""


def unexplained_dict(each: Unexplained) -> dict[str, Any]:
    """Return the JSON object of an input without a map."""
    return {"status": each.status, "input": each.source, "error": each.error, "hint": each.hint}


def load_image(source: Source, options: ReadOptions = ReadOptions()) -> LoadedImage | Failure:  # noqa: B008
    """Read and decode one source; an input that cannot be read becomes a `Failure`."""
    start = time.perf_counter()
    read = partial(_read_and_decode, source, options)
    try:
        decoded, sha256 = read()
    except InputError as error:
        return Failure(source.name, error.message, error.hint)
    except MemoryError:
        return Failure(source.name, "out of memory", "reduce --max-pixels to reject such files")
    again = partial(_decode_again, read, sha256) if source.name != "-" else None
    note = Announcement(logging.WARNING, f"{source.name}: {decoded.note}") if decoded.note else None
    seconds = time.perf_counter() - start
    return LoadedImage(source.name, decoded.pixels, sha256, seconds, again, note, decoded.bands, decoded.space)


def _read_and_decode(source: Source, options: ReadOptions) -> tuple[Decoded, str]:
    """Return the input and the SHA-256 of a source; its memory is reserved before its bytes are read."""
    max_bytes = BYTES_PER_PIXEL * options.max_pixels + MAX_HEADER_BYTES
    if isinstance(source, SeriesSource):
        ACTIVE.reserve(ACTIVE.limit // 2)
        return input_files.decode_series(source, options, max_bytes)
    with source.open(max_bytes) as file:
        if file.seek(0, io.SEEK_END) > LARGE_FILE_BYTES:
            ACTIVE.reserve(ACTIVE.limit // 2)
        file.seek(0)
        ACTIVE.reserve(input_files.memory_to_decode(file, source.name, options))
        data = file.read()
    return input_files.decode_input(data, source.name, options), hashlib.sha256(data).hexdigest()


def _decode_again(read: Callable[[], tuple[Decoded, str]], sha256: str) -> Decoded:
    decoded, new_sha256 = read()
    if new_sha256 != sha256:
        raise InputError("the file changed while it was explained")
    return decoded
