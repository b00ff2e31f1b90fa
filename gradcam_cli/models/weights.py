"""Search and download of the weights of catalog models."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from gradcam_cli.console import log, progress
from gradcam_cli.errors import WeightsError
from gradcam_cli.models.catalog import LITE0, ModelSpec, find_spec, is_model_path
from gradcam_cli.storage.download import download
from gradcam_cli.storage.files import atomic_write, file_lock

WEIGHTS_HOSTS = ("storage.googleapis.com", "github.com", "objects.githubusercontent.com")
"""Hosts of Keras's weights, to which a server may redirect."""
UNTRAINED = "none"
"""Value of `--weights` for random initialization."""
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
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


def local_weights(model: str, weights: str) -> Path | None:
    """Return the file from which the weights of a run will be read, or None if they are random or not on this machine.

    Args:
        model: value of `--model`.
        weights: value of `--weights`.

    Raises:
        WeightsError: see `find_weights`.
    """
    if weights == UNTRAINED:
        return None
    if is_model_path(model):
        return Path(model if weights == "imagenet" else weights)
    spec = find_spec(model)
    return find_weights(spec, weights) if spec else None


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
        f"the built-in ImageNet classifier requires no download: --model {LITE0.name}"
    )
    if offline:
        raise WeightsError(f"weights of {spec.name} not found, and --offline disables downloads", hint)
    try:
        with file_lock(target):
            if not target.is_file():  # another process may have downloaded it
                log.warning("downloading %s, about %d MB, to %s", _weights_url(spec), spec.megabytes, target)
                _download(spec, target)
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


def _download(spec: ModelSpec, target: Path) -> None:
    """Download weights to a temporary file, check their length and hash, then move the file to the target.

    Raises:
        WeightsError: the file is incomplete, has a wrong hash, or is no HDF5 file.
        OSError, http.client.HTTPException: network or disk errors; the download is too large, too slow or incomplete.
    """
    url, expected_hash = _weights_url(spec), spec.hash
    with atomic_write(target) as file, contextlib.ExitStack() as bars:

        def started(length: int | None) -> Callable[[int], None]:
            return bars.enter_context(progress(target.name, length, in_bytes=True))

        has_end = download(url, file, 2 * spec.megabytes << 20, hosts=WEIGHTS_HOSTS, started=started)
        size = file.tell()
        file.flush()
        if expected_hash is None:
            _check_without_hash(spec, Path(file.name), size, has_end=has_end)
        elif (actual_hash := _file_hash(file.name, "sha256" if len(expected_hash) == 64 else "md5")) != expected_hash:
            raise WeightsError(f"{url}: wrong hash: expected {expected_hash}, got {actual_hash}")


def _file_hash(name: str, algorithm: str) -> str:
    with open(name, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _check_without_hash(spec: ModelSpec, file: Path, size: int, *, has_end: bool) -> None:
    """Check what can be checked of weights for which Keras publishes no hash.

    Raises:
        WeightsError: the download may be incomplete, or is no HDF5 file.
    """
    url, min_bytes = _weights_url(spec), spec.num_params * spec.bytes_per_weight
    if not has_end or size < min_bytes:
        end = "" if has_end else ", and the server declared no length"
        raise WeightsError(f"{url}: incomplete download: expected at least {min_bytes} bytes, got {size}{end}")
    with open(file, "rb") as opened:
        if opened.read(len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
            raise WeightsError(f"{url}: expected an HDF5 file, got another kind of file")
    log.warning("Keras publishes no hash of %s, so its content was not checked", spec.weights_file)
