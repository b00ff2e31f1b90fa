"""Find the weights of an application: a file, Keras's cache, or a checked download into it."""

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
from gradcam_cli.storage.files import atomic_write

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from gradcam_cli.storage.files import file_lock

TIMEOUT = 30
"""Seconds of silence after which a download is given up."""
MIN_BYTES_PER_SECOND = 1000
"""Bytes a second with which it goes on."""
DESTINATION_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
"""Errors of the place where a file is to be kept."""


def cache_directory() -> Path:
    """Return the folder in which Keras keeps weights: `$KERAS_HOME/models` or `~/.keras/models`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def find_weights(spec: ModelSpec, weights: str | None = None) -> Path | None:
    """Look for a weight file without fetching it.

    A built-in model has the package's own. Otherwise the order is: the file asked for;
    `GRADCAM_WEIGHTS`, a file or a folder of files under Keras's names; Keras's own cache.

    Raises:
        WeightsError: a file was asked for and is not there.
    """
    if spec.built_in and weights in (None, "imagenet"):
        return Path(str(resources.files("gradcam_cli.models").joinpath("data", spec.weights_file)))
    named = None if weights in (None, "imagenet") else weights
    for origin, name in (("--weights", named), ("GRADCAM_WEIGHTS", os.environ.get("GRADCAM_WEIGHTS"))):
        if not name:
            continue
        path = Path(name)
        if path.is_file():
            return path
        if (path / spec.weights_file).is_file():
            return path / spec.weights_file
        if not path.is_dir() or origin == "--weights":
            raise WeightsError(f"{origin} {name}: expected a weight file, found none there")
    cached = cache_directory() / spec.weights_file
    return cached if cached.is_file() else None


def ensure_weights(spec: ModelSpec, weights: str | None = None, *, offline: bool = False) -> Path:
    """Return the path of an application's weight file, fetching it if it is nowhere here.

    Raises:
        WeightsError: it is not here and cannot or must not be fetched.
    """
    if path := find_weights(spec, weights):
        return path
    target = cache_directory() / spec.weights_file
    by_hand = (
        f"fetch {_weights_url(spec)} by hand and put it at {target}, or name it with --weights FILE "
        "or by $GRADCAM_WEIGHTS; "
        f"the built-in model needs neither: --model {MINI.name}"
    )
    if offline:
        raise WeightsError(f"the weights of {spec.name} are not here, and --offline forbids fetching", by_hand)
    try:
        with file_lock(target):
            if not target.is_file():  # another process may have fetched it meanwhile
                log.warning("fetching %s, about %d MB, to %s", _weights_url(spec), spec.megabytes, target)
                _download(_weights_url(spec), target, spec.hash, 2 * spec.megabytes << 20)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
        where = f" to {target}" if isinstance(error, OSError) and error.errno in DESTINATION_ERRORS else ""
        raise WeightsError(
            f"the weights of {spec.name} cannot be fetched{where}: {' '.join(str(reason).split())}", by_hand
        ) from error
    return target


def _weights_url(spec: ModelSpec) -> str:
    """Return where to fetch from: Keras's place, or its mirror `GRADCAM_WEIGHTS_MIRROR` holding the same files."""
    mirror = os.environ.get("GRADCAM_WEIGHTS_MIRROR")
    return f"{mirror.rstrip('/')}/{spec.weights_file}" if mirror else spec.url


def _download(url: str, target: Path, expected_hash: str | None, max_bytes: int) -> None:
    """Fetch a file of at most so many bytes beside its target, check it, and only then move it into place."""
    digest = hashlib.new("sha256" if expected_hash and len(expected_hash) == 64 else "md5")
    # the URL is Keras's own, or the mirror that the person named
    with atomic_write(target) as file, urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310
        told = response.headers.get("Content-Length") or ""
        length, start = int(told) if told.isdecimal() else 0, time.monotonic()
        with progress(target.name, length or None, in_bytes=True) as advance:
            while block := response.read1(1 << 20):
                digest.update(block)
                file.write(block)
                advance(len(block))
                if file.tell() > max_bytes:
                    raise WeightsError(f"{url}: expected at most {max_bytes:,} bytes, got more")
                if (spent := time.monotonic() - start) > TIMEOUT and file.tell() < MIN_BYTES_PER_SECOND * spent:
                    raise WeightsError(f"{url}: too slow: {file.tell():,} bytes in {spent:.0f} s")
        if length and file.tell() != length:
            raise WeightsError(f"{url}: the download broke off: expected {length} bytes, got {file.tell()}")
        if expected_hash and digest.hexdigest() != expected_hash:
            raise WeightsError(f"{url}: wrong hash: expected {expected_hash}, got {digest.hexdigest()}")
