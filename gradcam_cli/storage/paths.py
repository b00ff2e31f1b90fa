"""Where files are: paths of this machine, and URLs of object stores and servers."""

from __future__ import annotations

import os
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from gradcam_cli.errors import UsageError

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://.")  # one letter before the colon is a drive
HTTP_PROTOCOLS = ("http", "https")
EXTRAS = {
    **dict.fromkeys(["s3", "s3a"], "s3"),
    **dict.fromkeys(["gs", "gcs"], "gs"),
    **dict.fromkeys(["az", "abfs", "abfss", "adl"], "az"),
    **dict.fromkeys(HTTP_PROTOCOLS, "http"),
}
"""Extras of gradcam-cli that bring the packages of a protocol."""
FILESYSTEM_OPTIONS = {"use_listings_cache": False}
"""Of all file systems: what was listed an hour ago may be gone, and a million names need not be kept."""


def is_url(name: object) -> bool:
    """Return whether a name is a URL, such as `s3://bucket/photos`, and not a path of this machine."""
    return bool(_URL.match(str(name)))


def protocol_of(url: object) -> str:
    """Return what stands before `://`; nothing for a path."""
    found = _URL.match(str(url))
    return found[1] if found else ""


def as_path(name: str | os.PathLike[str]) -> Path:
    """Return a path of this machine, or for a URL a `upath.UPath`, which has the same methods.

    Raises:
        UsageError: a package is missing that the URL needs, or its protocol is unknown.
    """
    if not is_url(name):
        return Path(name)
    require_protocol(protocol_of(name))
    from upath import UPath

    return cast(Path, UPath(str(name), **FILESYSTEM_OPTIONS))


@cache
def require_protocol(protocol: str) -> None:
    """Check that the packages for a protocol are here.

    Raises:
        UsageError: one is missing, or there is no such protocol.
    """
    if protocol == "file":
        raise UsageError("file://: expected a path or a URL of another place", "leave file:// out")
    try:
        import upath  # noqa: F401
        from fsspec import get_filesystem_class
    except ImportError as error:
        raise UsageError(
            f"{protocol}:// needs the package {error.name}", f"pip install 'gradcam-cli[{EXTRAS.get(protocol, 'url')}]'"
        ) from error
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        hint = f"pip install 'gradcam-cli[{extra}]'" if extra else None
        raise UsageError(f"{protocol}:// needs a package that is missing: {error}", hint) from error
    except ValueError as error:
        raise UsageError(f"{protocol}://: expected a protocol such as s3, gs, az or https") from error


def basename(name: str) -> str:
    """Return the last part of a path or URL; of an address of the web without its query."""
    if protocol_of(name) in HTTP_PROTOCOLS:
        return unquote(posixpath.basename(urlsplit(name).path.rstrip("/"))) or "index"
    return posixpath.basename(name.rstrip("/")) if is_url(name) else Path(name).name


def canonical(name: str | os.PathLike[str]) -> str:
    """Return the one name of a place: a path without links, a URL as it is."""
    return str(name).rstrip("/") if is_url(name) else os.path.realpath(name)


def join_path(folder: str, name: str) -> str:
    """Return the name of what is in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)


def relative_to(path: str, directory: Path) -> str:
    """Return where a file is as seen from a directory, with `/`; a URL of another place stays as it is."""
    if not (is_url(path) or is_url(directory)):
        return Path(os.path.relpath(path, directory)).as_posix()
    (*file_root, file), (*folder_root, folder) = (_parts(one) for one in (path, str(directory)))
    return posixpath.relpath(file, folder) if file_root == folder_root else path


def _parts(url: str) -> tuple[Any, ...]:
    root, rest = re.match(r"((?:[A-Za-z][A-Za-z0-9+.-]+://[^/]*)?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    return root, f"/{rest.strip('/')}"
