"""Reading of the image or other input that a record of an earlier run names.

A record is untrusted: it may name any file or URL. Only the file of an input on disk whose bytes have the recorded
SHA-256 is used, so a record cannot make a report contain an image that its author does not already have.
"""

from __future__ import annotations

import hashlib

from gradcam_cli.errors import InputError
from gradcam_cli.images.load import BYTES_PER_PIXEL, MAX_HEADER_BYTES
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.source import FILE_SUFFIXES
from gradcam_cli.storage.paths import full_suffix, is_url
from gradcam_cli.storage.regular_files import open_regular

_HINT = "explain the image again with --save npz, and compare the two directories"


def read_recorded_image(name: str, sha256: str | None) -> bytes:
    """Return the bytes of the image file of a record.

    Args:
        name: the `input` of the record; a URL is not fetched, and a file without an image suffix is not opened.
        sha256: the `sha256` of the record.

    Raises:
        InputError: the file is missing, may not be opened, or is not the file of the earlier run.
    """
    if is_url(name):
        raise InputError("a URL in results of an earlier run is not opened", _HINT)
    if sha256 is None or full_suffix(name) not in FILE_SUFFIXES:
        raise InputError("expected an image file with its SHA-256 in the results of the earlier run", _HINT)
    try:
        with open_regular(name, BYTES_PER_PIXEL * MAX_PIXELS + MAX_HEADER_BYTES) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                file.seek(0)
                return file.read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}") from error
    raise InputError("the file has changed since the earlier run")
