"""Find the weights of an application: a file, Keras's cache, or a checked download into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import resources
from pathlib import Path

from gradcam_cli.applications import MINI, Application
from gradcam_cli.errors import WeightsError
from gradcam_cli.files import replacing
from gradcam_cli.messages import log, progress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TIMEOUT = 30
"""Seconds of silence after which a download is given up."""
SLOWEST = 1000
"""Bytes a second with which it goes on."""
FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR)
"""Errors of the place where a file is to be kept."""


def cache_directory() -> Path:
    """Return the folder in which Keras keeps weights: `$KERAS_HOME/models` or `~/.keras/models`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def find_weights(application: Application, weights: str | None = None) -> Path | None:
    """Look for a weight file without fetching it.

    A built-in model has the package's own. Otherwise the order is: the file asked for;
    `GRADCAM_WEIGHTS`, a file or a folder of files under Keras's names; Keras's own cache.

    Raises:
        WeightsError: a file was asked for and is not there.
    """
    if application.built_in and weights in (None, "imagenet"):
        return Path(str(resources.files("gradcam_cli").joinpath("data", application.file)))
    named = None if weights in (None, "imagenet") else weights
    for origin, name in (("--weights", named), ("GRADCAM_WEIGHTS", os.environ.get("GRADCAM_WEIGHTS"))):
        if not name:
            continue
        path = Path(name)
        if path.is_file():
            return path
        if (path / application.file).is_file():
            return path / application.file
        if not path.is_dir() or origin == "--weights":
            raise WeightsError(f"{origin} {name}: expected a weight file, found none there")
    cached = cache_directory() / application.file
    return cached if cached.is_file() else None


def obtain_weights(application: Application, weights: str | None = None, *, offline: bool = False) -> Path:
    """Return the path of an application's weight file, fetching it if it is nowhere here.

    Raises:
        WeightsError: it is not here and cannot or must not be fetched.
    """
    if path := find_weights(application, weights):
        return path
    target = cache_directory() / application.file
    by_hand = (
        f"fetch {_url(application)} by hand and put it at {target}, or name it with --weights FILE "
        "or by $GRADCAM_WEIGHTS; "
        f"the built-in model needs neither: --model {MINI.name}"
    )
    if offline:
        raise WeightsError(f"the weights of {application.name} are not here, and --offline forbids fetching", by_hand)
    try:
        with locked(target):
            if not target.is_file():  # another process may have fetched it meanwhile
                log.warning("fetching %s, about %d MB, to %s", _url(application), application.megabytes, target)
                _download(_url(application), target, application.hash, 2 * application.megabytes << 20)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
        where = f" to {target}" if isinstance(error, OSError) and error.errno in FULL_OR_CLOSED else ""
        raise WeightsError(
            f"the weights of {application.name} cannot be fetched{where}: {' '.join(str(reason).split())}", by_hand
        ) from error
    return target


def _url(application: Application) -> str:
    """Return where to fetch from: Keras's place, or its mirror `GRADCAM_WEIGHTS_MIRROR` holding the same files."""
    mirror = os.environ.get("GRADCAM_WEIGHTS_MIRROR")
    return f"{mirror.rstrip('/')}/{application.file}" if mirror else application.url


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Let one process at a time make a file; where the system knows no such locks, all may.

    A lock whose file is gone when it is got belongs to another that is done, and is asked for again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    path = target.with_name(f".{target.name}.lock")
    while True:
        with open(path, "a") as file:
            with contextlib.suppress(OSError):  # a network's file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _download(url: str, target: Path, expected_hash: str | None, most: int) -> None:
    """Fetch a file of at most so many bytes beside its target, check it, and only then move it into place."""
    digest = hashlib.new("sha256" if expected_hash and len(expected_hash) == 64 else "md5")
    # the URL is Keras's own, or the mirror that the person named
    with replacing(target) as file, urllib.request.urlopen(url, timeout=TIMEOUT) as response:  # noqa: S310
        told = response.headers.get("Content-Length") or ""
        length, start = int(told) if told.isdecimal() else 0, time.monotonic()
        with progress(target.name, length or None, in_bytes=True) as advance:
            while block := response.read1(1 << 20):
                digest.update(block)
                file.write(block)
                advance(len(block))
                if file.tell() > most:
                    raise WeightsError(f"{url}: expected at most {most:,} bytes, got more")
                if (spent := time.monotonic() - start) > TIMEOUT and file.tell() < SLOWEST * spent:
                    raise WeightsError(f"{url}: too slow: {file.tell():,} bytes in {spent:.0f} s")
        if length and file.tell() != length:
            raise WeightsError(f"{url}: the download broke off: expected {length} bytes, got {file.tell()}")
        if expected_hash and digest.hexdigest() != expected_hash:
            raise WeightsError(f"{url}: wrong hash: expected {expected_hash}, got {digest.hexdigest()}")


class Checksum:
    """The SHA-256 of a file, read when it is first asked for, or from `start` on beside other work.

    Half a gigabyte takes a core a second, which nobody should wait for who does not ask.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._future: Future[str] | None = None

    def __getstate__(self) -> dict[str, str]:
        """Travel to another process, which may not have the file, as the hash itself."""
        return {"digest": self.result()}

    def __setstate__(self, state: dict[str, str]) -> None:
        self._lock = threading.Lock()
        self._future = Future()
        self._future.set_result(state["digest"])

    def start(self) -> Future[str]:
        """Begin to read, unless that is done already."""
        with self._lock:
            if self._future is None:
                pool = ThreadPoolExecutor(1)
                self._future = pool.submit(sha256, self._path)
                pool.shutdown(wait=False)
            return self._future

    def result(self) -> str:
        """Return the hash, in hexadecimal; wait for it if need be."""
        return self.start().result()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
