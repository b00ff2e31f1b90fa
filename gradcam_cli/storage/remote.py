"""File operations at URLs, through fsspec, with retries; failures are raised as OSError."""

from __future__ import annotations

import errno
import io
import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from textwrap import shorten
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError

from gradcam_cli.console import log
from gradcam_cli.errors import GradcamError
from gradcam_cli.storage.download import DownloadError, download
from gradcam_cli.storage.paths import FILESYSTEM_OPTIONS, HTTP_PROTOCOLS, protocol_of, require_protocol

T = TypeVar("T")
RETRY_DELAYS = (0.5, 1.0)
"""Seconds before the second and the third (last) attempt."""
MAX_BYTES = 1 << 31
"""Default limit of a file's size."""
MAX_SECONDS = 600
"""Limit of the time to download a file from a web server."""
PERMANENT_ERRORS = (
    *(FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError),
    *(DownloadError, GradcamError, ImportError, NotImplementedError, TypeError, ValueError),
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


def read(url: str, max_bytes: int | None = None, hosts: Collection[str] = ()) -> bytes:
    """Return the bytes of a file.

    Args:
        url: the file.
        max_bytes: limit of its size, or None for `MAX_BYTES`.
        hosts: hosts to which a web server may redirect, besides its own.

    Raises:
        OSError: the file cannot be read or is too large; `strerror` is one line.
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    if protocol_of(url).lower() in HTTP_PROTOCOLS:
        return _one_line_errors(url, lambda: with_retries(lambda: _download(url, limit, hosts)))
    data: bytes = _call(url, lambda system, path: _read_object(system, path, url, limit))
    return data


def read_head(url: str, num_bytes: int) -> bytes:
    """Return the first bytes of a file in an object store.

    Raises:
        OSError: the file cannot be read; `strerror` is one line.
    """
    data: bytes = _call(url, lambda system, path: system.cat_file(path, start=0, end=num_bytes))
    return data


def _download(url: str, max_bytes: int, hosts: Collection[str]) -> bytes:
    buffer = io.BytesIO()
    try:
        download(url, buffer, max_bytes, hosts=hosts, max_seconds=MAX_SECONDS)
    except HTTPError as error:
        if error.code in (404, 410):
            raise FileNotFoundError(url) from error
        raise
    except URLError as error:
        raise error.reason if isinstance(error.reason, Exception) else error from error
    return buffer.getvalue()


def _read_object(system: Any, path: str, url: str, max_bytes: int) -> bytes:
    size = system.info(path).get("size")
    if size is not None and size > max_bytes:
        raise DownloadError(f"expected at most {max_bytes:,} bytes, got {size:,}")
    data: bytes = system.cat_file(path)
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
    pending = [url]
    while pending:
        folder = pending.pop()
        try:
            folders, files = _call(folder, _list_folder)
        except FileNotFoundError:
            if folder != url:  # deleted since its name was listed
                continue
            raise
        yield folder, folders, files
        pending += [f"{folder.rstrip('/')}/{name}" for name in reversed(folders)]


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
        if entry["type"] == "directory" and entry["name"] == f"{folder_path}/" and "s3" in system.protocol:
            files += _names_with_empty_part(system, folder_path)
        elif entry_path != folder_path:
            (folders if entry["type"] == "directory" else files).append(entry_path.rpartition("/")[2])
        elif entry["type"] == "file" and not entry["name"].endswith("/"):  # with "/": the marker object of a folder
            raise NotADirectoryError(path)
    return folders, files


def _names_with_empty_part(system: Any, folder: str) -> list[str]:
    """Return the names below a folder of S3 that begin with `/`, as in the key `folder//name`; hidden ones are skipped.

    A listing of one level cannot enter such a folder, so all of its levels are listed at once.
    """
    names = (key[len(folder) + 1 :] for key in system.find(folder, prefix="/"))
    return [name for name in names if not re.search(r"(^|/)[.]|/$", name)]


def _call(url: str, function: Callable[[Any, str], T]) -> T:
    """Call a function with a file system and a path in it; errors become OSError with a one-line `strerror`."""
    system = _one_line_errors(url, lambda: _file_system(_root(url), os.getpid()))
    return _one_line_errors(url, lambda: with_retries(lambda: function(system, system._strip_protocol(url))))


def _one_line_errors(url: str, function: Callable[[], T]) -> T:
    try:
        return function()
    except (GradcamError, DownloadError):
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
