"""Errors of the libraries that read untrusted files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gradcam_cli.errors import InputError


@contextlib.contextmanager
def input_errors(kind: str) -> Iterator[None]:
    """Turn the exceptions that libraries raise for malformed files, which are almost any, into `InputError`.

    Args:
        kind: of the file, for messages: `WAV file`.

    Raises:
        InputError: in place of any other exception; MemoryError is raised as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error)  # without the number of an error of FFmpeg
        if isinstance(error, MemoryError) and not hasattr(error, "strerror"):  # FFmpeg's: a size that a file declares
            raise
        text = " ".join(str(reason).split())
        raise InputError(f"damaged {kind}: {text or type(error).__name__}") from error


def missing_package(what: str, package: str, extra: str) -> InputError:
    """Return the error for a file that requires a package of an extra: `a NIfTI file`, `nibabel`, `nifti`."""
    return InputError(f"{what} requires the package {package}", f"pip install 'gradcam-cli[{extra}]'")


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the name of a file of several before the message of an error.

    Raises:
        InputError: with the name, the message and the hint of the one that was raised.
    """
    try:
        yield
    except InputError as error:
        raise InputError(f"{name}: {error.message}", error.hint) from error
