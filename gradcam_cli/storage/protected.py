"""The inputs of a run, which no output may replace."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from hashlib import blake2b

from gradcam_cli.errors import OutputError
from gradcam_cli.storage.paths import canonical, canonical_url, is_url


class ProtectedInputs:
    """The files that a run reads, as 8-byte digests of what identifies them; it can be pickled.

    A file is identified by its path and by its device and inode, which all its names share: those of a case-insensitive
    file system and hard links too. A link protects itself and its target. Devices and pipes are not protected.
    """

    def __init__(self, *paths: str | os.PathLike[str]) -> None:
        self._digests: set[bytes] = set()
        self._directories: dict[str, tuple[str, ...]] = {}
        self.add(*paths)

    def add(self, *paths: str | os.PathLike[str]) -> None:
        """Add files: paths, URLs, or `-` for the file that is read on standard input. A file need not exist."""
        real_folder = lru_cache(64)(os.path.realpath)  # most inputs share a folder
        for path in paths:
            self._digests.update(map(_digest, _identities(path, real_folder)))
            if not is_url(path) and is_link(path):
                self._digests.update(map(_digest, _identities(os.path.realpath(path))))

    def add_directory(self, path: str | os.PathLike[str], suffixes: Collection[str]) -> None:
        """Add the existing files below a local directory that have one of the suffixes; they are not listed."""
        self._directories[os.path.join(canonical(path), "")] = tuple(suffixes)

    def __contains__(self, path: str | os.PathLike[str]) -> bool:
        """Return whether replacing a path would replace an input; a link at the path is not followed."""
        return not self._digests.isdisjoint(map(_digest, _identities(path))) or self._is_in_directory(path)

    def _is_in_directory(self, path: str | os.PathLike[str]) -> bool:
        if not self._directories or is_url(path) or not os.path.exists(path):
            return False
        name = _entry(path)
        return any(
            name.startswith(directory) and name.lower().endswith(suffixes)
            for directory, suffixes in self._directories.items()
        )


_active: list[ProtectedInputs] = []
"""The inputs of all runs of this process; its threads share them."""


@contextlib.contextmanager
def protected_inputs(inputs: ProtectedInputs) -> Iterator[ProtectedInputs]:
    """Protect the inputs of a run until the block ends."""
    if any(inputs is other for other in _active):
        yield inputs
        return
    _active.append(inputs)
    try:
        yield inputs
    finally:
        _active.remove(inputs)


def current_inputs() -> ProtectedInputs:
    """Return the inputs of the current run, to which a command adds those that it finds."""
    return _active[-1] if _active else ProtectedInputs()


def is_input(path: str | os.PathLike[str]) -> bool:
    """Return whether replacing a path would replace an input of a run."""
    return any(path in inputs for inputs in tuple(_active))


def require_no_input(path: str | os.PathLike[str]) -> None:
    """Check a path before it is replaced or deleted.

    Raises:
        OutputError: the path is an input.
    """
    if is_input(path):
        raise OutputError(f"{path} is an input: it would be overwritten", "choose another output")


def _digest(identity: str) -> bytes:
    """Return 8 bytes: two of a million identities are equal with a probability below 1e-7."""
    return blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def _identities(path: str | os.PathLike[str], real_folder: Callable[[str], str] = os.path.realpath) -> Iterator[str]:
    """Yield what identifies a URL, or a directory entry; nothing for what cannot be replaced by a file."""
    if is_url(path):
        yield canonical_url(str(path))
        return
    with contextlib.suppress(ValueError):  # a NUL byte
        try:
            status = os.fstat(0) if path == "-" else os.lstat(path)
        except OSError:
            yield _entry(path, real_folder)
            return
        if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            yield _entry(path, real_folder)
            yield f"{status.st_dev}:{status.st_ino}"


def _entry(path: str | os.PathLike[str], real_folder: Callable[[str], str] = os.path.realpath) -> str:
    """Return the path of a directory entry: links of its folder are resolved, but not the entry itself."""
    folder, name = os.path.split(os.fspath(path).rstrip("/"))
    return os.path.join(real_folder(folder or "."), name)


def is_link(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a link; False for names that no file can have."""
    with contextlib.suppress(ValueError):
        return os.path.islink(path)
    return False
