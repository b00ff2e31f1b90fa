"""A model file before Keras opens it: what it claims to hold must be near to what it holds."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from gradcam_cli.errors import ModelError
from gradcam_cli.models import hdf5_scan

CONFIG_NAME = "config.json"
MAX_CONFIG_BYTES = 32 << 20
"""Bytes of a configuration; those of the largest applications have two million."""
MAX_ARCHIVE_MEMBERS = 10_000
MIN_DECOMPRESSED_BYTES, MAX_EXPANSION = 1 << 28, 100
"""More bytes than this, and so many times the file's own, no honest model unfolds to: weights hardly compress."""
MIN_TIMEOUT, MIN_BYTES_PER_SECOND = 20, 20e6
"""How long reading may take, and the bytes a second that a slow disk gives."""


def check_model_file(file: Path) -> None:
    """Check a `.keras` or `.h5` file before anything of it is used.

    Raises:
        ModelError: it would unfold to far more than it is, has names that lead out of it, or cannot be read safely.
    """
    if file.suffix == ".keras":
        _check_archive(file)
    _check_hdf5_in_subprocess(file)


def max_decompressed_size(file: Path) -> int:
    """Return how many bytes of weights a file may stand for."""
    return max(MIN_DECOMPRESSED_BYTES, MAX_EXPANSION * file.stat().st_size)


def _check_archive(file: Path) -> None:
    try:
        archive = zipfile.ZipFile(file)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"{file} is not a .keras file, or is damaged: {error}") from error
    with archive:
        members = archive.infolist()
        if len(members) > MAX_ARCHIVE_MEMBERS:
            raise ModelError(
                f"{file}: expected at most {MAX_ARCHIVE_MEMBERS:,} files in the archive, got {len(members):,}"
            )
        for member in members:
            if re.search(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:", member.filename):
                raise ModelError(f"{file}: a name in the archive leads out of it: {member.filename!r}")
            if member.filename == CONFIG_NAME and member.file_size > MAX_CONFIG_BYTES:
                raise ModelError(
                    f"{file}: expected at most {MAX_CONFIG_BYTES:,} bytes of {CONFIG_NAME}, got {member.file_size:,}"
                )
        _check_decompressed_size(file, sum(member.file_size for member in members))


def _check_hdf5_in_subprocess(file: Path) -> None:
    """Let another process read the HDF5 file first: one that is damaged may hang or end it."""
    command = [sys.executable, "-P", hdf5_scan.__file__, str(file.absolute()), str(max_decompressed_size(file))]
    try:
        limit = MIN_TIMEOUT + file.stat().st_size / MIN_BYTES_PER_SECOND
        done = subprocess.run(command, capture_output=True, timeout=limit, check=True)  # noqa: S603  # own code, no shell
        claimed = int(done.stdout)
    except OSError:  # no process can be started here
        return
    except (subprocess.SubprocessError, ValueError) as error:
        raise ModelError(f"{file} is damaged: the HDF5 library hangs or breaks down on it") from error
    _check_decompressed_size(file, claimed)


def _check_decompressed_size(file: Path, declared_bytes: int) -> None:
    if declared_bytes > max_decompressed_size(file):
        raise ModelError(
            f"{file} claims to unfold to {declared_bytes:,} bytes: expected at most {max_decompressed_size(file):,}"
        )
