"""Search and download of the weights of catalog models."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import time
import urllib.request
from importlib import resources
from pathlib import Path

from gradcam_cli.console import log, progress
from gradcam_cli.errors import WeightsError
from gradcam_cli.models.catalog import MINI, ModelSpec
from gradcam_cli.storage.files import atomic_write, file_lock

TIMEOUT = 30
"""Seconds without data after which a download is aborted."""
MIN_BYTES_PER_SECOND = 1000
"""Average speed below which a download is aborted, after the first `TIMEOUT` seconds."""
DESTINATION_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
"""Errors of the cache folder, as opposed to network errors."""


def cache_directory() -> Path:
    """Return Keras's cache folder: `$KERAS_HOME/models` or `~/.keras/models`.

    Raises:
        WeightsError: the user has no home directory, and `KERAS_HOME` is not set.
    """
    if keras_home := os.environ.get("KERAS_HOME"):
        return Path(keras_home) / "models"
    home = os.path.expanduser("~")
    if home in ("~", os.devnull):
        raise WeightsError("the user has no home directory", "set KERAS_HOME to a directory for weights")
    return Path(home) / ".keras" / "models"


def find_weights(spec: ModelSpec, weights: str | None = None) -> Path | None:
    """Return the local weight file of a model, or None.

    The weights of a built-in model are part of the package. Otherwise the search order is: `weights`;
    `GRADCAM_WEIGHTS`, a file or a folder of files with Keras's names; Keras's cache.

    Raises:
        WeightsError: `weights` or `GRADCAM_WEIGHTS` does not exist.
    """
    if spec.built_in and weights in (None, "imagenet"):
        return Path(str(resources.files("gradcam_cli.models").joinpath("data", spec.weights_file)))
    weights = None if weights == "imagenet" else weights
    for origin, name in (("--weights", weights), ("GRADCAM_WEIGHTS", os.environ.get("GRADCAM_WEIGHTS"))):
        if not name:
            continue
        path = Path(name)
        if path.is_file():
            return path
        if (path / spec.weights_file).is_file():
            return path / spec.weights_file
        if not path.is_dir() or origin == "--weights":
            raise WeightsError(f"{origin} {name}: file not found")
    cached = cache_directory() / spec.weights_file
    return cached if cached.is_file() else None


def ensure_weights(spec: ModelSpec, weights: str | None = None, *, offline: bool = False) -> Path:
    """Return the path of a model's weight file; download it to Keras's cache if it is not found locally.

    Raises:
        WeightsError: the file is not found and cannot be downloaded, or `offline` is set.
    """
    if path := find_weights(spec, weights):
        return path
    target = cache_directory() / spec.weights_file
    hint = (
        f"download {_weights_url(spec)} to {target}, or set --weights FILE or $GRADCAM_WEIGHTS; "
        f"the built-in model requires no download: --model {MINI.name}"
    )
    if offline:
        raise WeightsError(f"weights of {spec.name} not found, and --offline disables downloads", hint)
    try:
        with file_lock(target):
            if not target.is_file():  # another process may have downloaded it
                log.warning("downloading %s, about %d MB, to %s", _weights_url(spec), spec.megabytes, target)
                _download(_weights_url(spec), target, spec.hash, 2 * spec.megabytes << 20)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
        destination = f" to {target}" if isinstance(error, OSError) and error.errno in DESTINATION_ERRORS else ""
        raise WeightsError(
            f"cannot download the weights of {spec.name}{destination}: {' '.join(str(reason).split())}", hint
        ) from error
    return target


def _weights_url(spec: ModelSpec) -> str:
    """Return Keras's URL of the weights, or that of the mirror `GRADCAM_WEIGHTS_MIRROR` with the same files."""
    mirror = os.environ.get("GRADCAM_WEIGHTS_MIRROR")
    return f"{mirror.rstrip('/')}/{spec.weights_file}" if mirror else spec.url


def _download(url: str, target: Path, expected_hash: str | None, max_bytes: int) -> None:
    """Download to a temporary file, check its length and hash, then move it to the target.

    Args:
        url: URL of the file.
        target: path of the downloaded file.
        expected_hash: MD5 or SHA-256 in hexadecimal, or None to skip the check.
        max_bytes: size limit.

    Raises:
        WeightsError: the download is too large, too slow, incomplete, or has a wrong hash.
        OSError, http.client.HTTPException: network or disk errors.
    """
    digest = hashlib.new("sha256" if expected_hash and len(expected_hash) == 64 else "md5")
    # the URL is from the catalog or the configured mirror
    with atomic_write(target) as file, urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310
        header = response.headers.get("Content-Length") or ""
        length, start = int(header) if header.isdecimal() else 0, time.monotonic()
        with progress(target.name, length or None, in_bytes=True) as advance:
            while block := response.read1(1 << 20):
                digest.update(block)
                file.write(block)
                advance(len(block))
                if file.tell() > max_bytes:
                    raise WeightsError(f"{url}: expected at most {max_bytes:,} bytes, got more")
                if (elapsed := time.monotonic() - start) > TIMEOUT and file.tell() < MIN_BYTES_PER_SECOND * elapsed:
                    raise WeightsError(f"{url}: download too slow: {file.tell():,} bytes in {elapsed:.0f} s")
        if length and file.tell() != length:
            raise WeightsError(f"{url}: incomplete download: expected {length} bytes, got {file.tell()}")
        if expected_hash and digest.hexdigest() != expected_hash:
            raise WeightsError(f"{url}: wrong hash: expected {expected_hash}, got {digest.hexdigest()}")
