"""File operations at URLs, through fsspec, with retries; failures are raised as OSError."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from textwrap import shorten
from typing import Any, TypeVar

from gradcam_cli.console import log
from gradcam_cli.errors import GradcamError
from gradcam_cli.storage.paths import FILESYSTEM_OPTIONS, protocol_of, require_protocol

T = TypeVar("T")
RETRY_DELAYS = (0.5, 1.0)
"""Seconds before the second and the third (last) attempt."""
PERMANENT_ERRORS = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError),
    *(GradcamError, ImportError, NotImplementedError, TypeError, ValueError),
)
"""Errors that a retry cannot resolve."""


def with_retries(function: Callable[[], T]) -> T:
    """Call a function up to three times; a permanent error is raised at once."""
    for delay in RETRY_DELAYS:
        try:
            return function()
        except Exception as error:
            if _is_permanent(error):
                raise
            log.debug("retrying in %s s: %s", delay, _first_line(error))
        time.sleep(delay)
    return function()


def _is_permanent(error: Exception) -> bool:
    values = (getattr(error, name, None) for name in ("status", "status_code", "code"))
    status = next((value for value in values if isinstance(value, int)), 0)
    client_error = 400 <= status < 500 and status not in (408, 429)  # 408 Request Timeout, 429 Too Many Requests
    return client_error or isinstance(error, PERMANENT_ERRORS) or "Credentials" in type(error).__name__


def read(url: str, max_bytes: int | None = None) -> bytes:
    """Return the bytes of a file.

    Args:
        url: the file.
        max_bytes: limit of its size, or None.

    Raises:
        OSError: the file cannot be read or is too large; `strerror` is one line.
    """
    data: bytes = _call(url, lambda system, path: system.cat_file(path))
    return data


def write(url: str, data: bytes) -> None:
    """Write a file in one request; an object store shows the object only when it is complete.

    Raises:
        OSError: the file cannot be written; `strerror` is one line.
    """
    _call(url, lambda system, path: system.pipe_file(path, data))


def exists(url: str) -> bool:
    """Return whether a file exists.

    Raises:
        OSError: the store cannot be reached; `strerror` is one line.
    """
    try:
        _call(url, lambda system, path: system.info(path))
    except FileNotFoundError:
        return False
    return True


def remove(url: str) -> None:
    """Delete a file.

    Raises:
        OSError: the file cannot be deleted; `strerror` is one line.
    """
    _call(url, lambda system, path: system.rm_file(path))


def walk(url: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield (folder, names of its folders, names of its files) recursively, as `os.walk` does, one request per folder.

    Names that the caller removes from the list of folders are not entered.

    Raises:
        NotADirectoryError: the URL is a file.
        OSError: a folder cannot be listed; `strerror` is one line.
    """
    folders, files = _call(url, _list_folder)
    yield url, folders, files
    for name in folders:
        with contextlib.suppress(FileNotFoundError):  # deleted since its name was listed
            yield from walk(f"{url.rstrip('/')}/{name}")


def list_files(url: str) -> list[str]:
    """Return the names of the files in a folder.

    Raises:
        OSError: the folder cannot be listed; `strerror` is one line.
    """
    return _call(url, _list_folder)[1]


def _list_folder(system: Any, path: str) -> tuple[list[str], list[str]]:
    folders: list[str] = []
    files: list[str] = []
    folder_path = path.strip("/")
    for entry in system.ls(path, detail=True):
        entry_path = entry["name"].strip("/")
        if entry_path != folder_path:
            (folders if entry["type"] == "directory" else files).append(entry_path.rpartition("/")[2])
        elif entry["type"] == "file" and not entry["name"].endswith("/"):  # with "/": the marker object of a folder
            raise NotADirectoryError(path)
    return folders, files


def _call(url: str, function: Callable[[Any, str], T]) -> T:
    """Call a function with a file system and a path in it; errors become OSError with a one-line `strerror`."""
    try:
        system = _file_system(_root(url), os.getpid())
        return with_retries(lambda: function(system, system._strip_protocol(url)))
    except GradcamError:
        raise
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), url) from error
    except NotADirectoryError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), url) from error
    except NotImplementedError as error:
        raise OSError(errno.ENOTSUP, f"{protocol_of(url)}:// does not support this operation", url) from error
    except Exception as error:
        raise OSError(errno.EIO, _first_line(error), url) from error


def _root(url: str) -> str:
    protocol, _, rest = url.partition("://")
    return f"{protocol}://{rest.partition('/')[0]}"


@lru_cache(maxsize=64)
def _file_system(root: str, process: int) -> Any:
    """Return the file system of a store, shared by all threads; a forked process gets a new one."""
    require_protocol(protocol_of(f"{root}/."))
    from fsspec.core import url_to_fs

    return url_to_fs(root, **FILESYSTEM_OPTIONS)[0]


def _first_line(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return shorten(lines[0], 200, placeholder=" ...") if lines else type(error).__name__
