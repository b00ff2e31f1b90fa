"""HEIC photos, which the optional package pillow-heif reads as a plugin of Pillow.

libheif, the library below it, has limits of its own for malformed files; they stay on.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import BinaryIO

from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images.source import HEIF_SUFFIXES

FORMAT = "HEIF"
"""Pillow's name of the format."""
BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1 mif2".split())
AVIF_BRANDS = frozenset((b"avif", b"avis"))
HINT = "pip install 'gradcam-cli[heif]'"
START = 12
"""First bytes of a file that name its kind."""


def is_heif(start: bytes) -> bool:
    """Return whether a file with these first bytes is a HEIC or HEIF photo; AVIF images are not, Pillow reads them."""
    return start[4:8] == b"ftyp" and start[8:12] in BRANDS


def is_avif(start: bytes) -> bool:
    """Return whether a file with these first bytes is an AVIF image."""
    return start[4:8] == b"ftyp" and start[8:12] in AVIF_BRANDS


def is_installed() -> bool:
    """Return whether pillow-heif is installed; it is not imported."""
    return importlib.util.find_spec("pillow_heif") is not None


def suffixes() -> frozenset[str]:
    """Return the suffixes of HEIC photos, if they can be read."""
    return HEIF_SUFFIXES if is_installed() else frozenset()


def formats(file: BinaryIO) -> tuple[str, ...]:
    """Return Pillow's format of a HEIC photo, which Pillow can open from now on; () for all other files.

    Args:
        file: open at its beginning; it is left there.

    Raises:
        InputError: the package for the format is not installed.
    """
    start = file.read(START)
    file.seek(0)
    if is_avif(start) and not _opens_avif():
        raise InputError("an AVIF image requires Pillow 11.3 or newer", "pip install --upgrade pillow")
    if not is_heif(start):
        return ()
    register()
    return (FORMAT,)


def _opens_avif() -> bool:
    Image.init()
    return "AVIF" in Image.OPEN


@cache
def register() -> None:
    """Let Pillow open HEIC photos; their thumbnails and depth images are left out.

    Raises:
        InputError: pillow-heif is not installed.
    """
    try:
        import pillow_heif
    except ImportError as error:
        raise InputError("a HEIC photo requires the package pillow-heif", HINT) from error
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
