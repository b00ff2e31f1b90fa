"""One image source (a file, a URL or standard input) and its bytes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gradcam_cli.errors import InputError
from gradcam_cli.storage import remote
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.regular_files import FileTooLargeError, SpecialFileError, read_regular

SUFFIXES = frozenset(
    [".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"]
)
MAX_BYTES = 1 << 31
"""Default limit of a file's size, larger than any supported image."""


@dataclass(frozen=True)
class Source:
    """One image to explain.

    Attributes:
        name: path or URL; `-` for standard input.
        relative_path: path relative to the input directory; None for an input file.
    """

    name: str
    relative_path: Path | None = None

    def read(self, max_bytes: int = MAX_BYTES) -> bytes:
        """Return the file's bytes.

        Args:
            max_bytes: limit of a local file's size.

        Raises:
            InputError: the file is missing, not a regular file, too large, or cannot be read.
        """
        try:
            if self.name == "-":
                return sys.stdin.buffer.read()
            if is_url(self.name):
                return remote.read(self.name)
            return read_regular(self.name, max_bytes)
        except SpecialFileError as error:
            hint = "- reads standard input" if error.kind == "a pipe" else None
            raise InputError(f"expected an image file, got {error.kind}", hint) from error
        except FileTooLargeError as error:
            raise InputError(str(error.strerror), "raise --max-pixels if you trust the file") from error
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}") from error
