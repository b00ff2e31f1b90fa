"""Checks of an untrusted model file before Keras loads it: archive, declared sizes, damage."""

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
"""Limit of the configuration's size; the largest in `keras.applications` have about 2 MB."""
MAX_ARCHIVE_MEMBERS = 10_000
MIN_DECOMPRESSED_BYTES, MAX_EXPANSION = 1 << 28, 100
"""Decompressed size limit: the larger of this number of bytes and this multiple of the file size.

Weights hardly compress, so valid models stay far below."""
MIN_TIMEOUT, MIN_BYTES_PER_SECOND = 20, 20e6
"""Timeout of the scan: these seconds plus the file size divided by the speed of a slow disk."""


def check_model_file(file: Path) -> None:
    """Check a `.keras` or `.h5` file before loading it.

    Raises:
        ModelError: the decompressed size is above the limit, the archive has unsafe member paths, or the file
            is damaged.
    """
    if file.suffix == ".keras":
        _check_archive(file)
    _check_hdf5_in_subprocess(file)


def max_decompressed_size(file: Path) -> int:
    """Return the limit in bytes of the decompressed size of a file."""
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
                raise ModelError(f"{file}: unsafe path in the archive: {member.filename!r}")
            if member.filename == CONFIG_NAME and member.file_size > MAX_CONFIG_BYTES:
                raise ModelError(
                    f"{file}: expected at most {MAX_CONFIG_BYTES:,} bytes of {CONFIG_NAME}, got {member.file_size:,}"
                )
        _check_decompressed_size(file, sum(member.file_size for member in members))


def _check_hdf5_in_subprocess(file: Path) -> None:
    """Scan the HDF5 content in a subprocess, since a damaged file can hang or crash the library."""
    command = [sys.executable, "-P", hdf5_scan.__file__, str(file.absolute()), str(max_decompressed_size(file))]
    try:
        timeout = MIN_TIMEOUT + file.stat().st_size / MIN_BYTES_PER_SECOND
        completed = subprocess.run(command, capture_output=True, timeout=timeout, check=True)  # noqa: S603  # no shell
        declared_bytes = int(completed.stdout)
    except OSError:  # subprocesses are not available
        return
    except (subprocess.SubprocessError, ValueError) as error:
        raise ModelError(f"{file} is damaged: the HDF5 library hangs or crashes") from error
    _check_decompressed_size(file, declared_bytes)


def _check_decompressed_size(file: Path, declared_bytes: int) -> None:
    if declared_bytes > max_decompressed_size(file):
        limit = max_decompressed_size(file)
        raise ModelError(f"{file}: expected at most {limit:,} decompressed bytes, got {declared_bytes:,}")
