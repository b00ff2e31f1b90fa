"""Local paths, and URLs of object stores and web servers."""

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
"""The extra of gradcam-cli that installs the packages of a protocol."""
NIFTI_SUFFIX = ".nii.gz"
"""A suffix with two dots."""
FILESYSTEM_OPTIONS = {"use_listings_cache": False}
"""Options of every fsspec file system: no cache of listings, which grow stale and large."""


def is_url(name: object) -> bool:
    """Return whether a name is a URL, such as `s3://bucket/images`, rather than a local path."""
    return bool(_URL.match(str(name)))


def protocol_of(url: object) -> str:
    """Return the protocol of a URL (the part before `://`), or "" for a local path."""
    match = _URL.match(str(url))
    return match[1] if match else ""


def as_path(name: str | os.PathLike[str]) -> Path:
    """Return a `pathlib.Path`, or for a URL a `upath.UPath`, which has the same methods.

    Raises:
        UsageError: the protocol is unknown, or a package that it requires is not installed.
    """
    if not is_url(name):
        return Path(name)
    require_protocol(protocol_of(name))
    from upath import UPath

    return cast(Path, UPath(str(name), **FILESYSTEM_OPTIONS))


@cache
def require_protocol(protocol: str) -> None:
    """Check that the packages of a protocol are installed.

    Raises:
        UsageError: a package is not installed, or the protocol is unknown.
    """
    if protocol in ("file", "local", "asynclocal"):
        raise UsageError(f"{protocol}:// is not supported", f"give the path without {protocol}://")
    try:
        import upath  # noqa: F401
        from fsspec import get_filesystem_class
    except ImportError as error:
        raise UsageError(
            f"{protocol}:// requires the package {error.name}",
            f"pip install 'gradcam-cli[{EXTRAS.get(protocol, 'url')}]'",
        ) from error
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        hint = f"pip install 'gradcam-cli[{extra}]'" if extra else None
        raise UsageError(f"{protocol}:// requires a package that is not installed: {error}", hint) from error
    except ValueError as error:
        raise UsageError(f"expected a protocol such as s3, gs, az or https, got {protocol}://") from error


def basename(name: str) -> str:
    """Return the last part of a path or URL; the query of a web address is removed."""
    if protocol_of(name) in HTTP_PROTOCOLS:
        return unquote(posixpath.basename(urlsplit(name).path.rstrip("/"))) or "index"
    return posixpath.basename(name.rstrip("/")) if is_url(name) else Path(name).name


def full_suffix(name: str) -> str:
    """Return the suffix of a file name in lower case; `.nii.gz` is one suffix."""
    suffix = posixpath.splitext(name)[1].lower()
    return NIFTI_SUFFIX if suffix == ".gz" and name.lower().endswith(NIFTI_SUFFIX) else suffix


def canonical(name: str | os.PathLike[str]) -> str:
    """Return a path with its symbolic links resolved, or a URL without trailing slashes."""
    return str(name).rstrip("/") if is_url(name) else os.path.realpath(name)


def canonical_url(url: str) -> str:
    """Return a URL in one form: `s3a://` and `s3://` are one store, and an S3 version belongs to the same object."""
    protocol = protocol_of(url).lower()
    name = url[len(protocol) :].rstrip("/")
    store = EXTRAS.get(protocol, protocol)
    return store + (name.partition("?versionId=")[0] if store == "s3" else name)


def join_path(folder: str, name: str) -> str:
    """Return the path or URL of a file in a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)


def relative_to(path: str, directory: Path) -> str:
    """Return the path of a file relative to a directory, with `/`; a URL in another store is returned unchanged."""
    if not (is_url(path) or is_url(directory)):
        return Path(os.path.relpath(path, directory)).as_posix()
    (*file_root, file), (*folder_root, folder) = (_parts(name) for name in (path, str(directory)))
    return posixpath.relpath(file, folder) if file_root == folder_root else path


def is_inside(path: str | os.PathLike[str], directory: Path) -> bool:
    """Return whether a path or URL is below a directory, after its links and `..` are resolved."""
    if is_url(path) != is_url(directory):
        return False
    try:
        below = relative_to(str(path), directory) if is_url(path) else _resolved_relative(path, directory)
    except (OSError, ValueError):  # a NUL byte, a loop of links, or another drive
        return False
    return below.split("/")[0] not in ("..", ".") and not is_url(below) and not below.startswith("/")


def _resolved_relative(path: str | os.PathLike[str], directory: Path) -> str:
    return Path(os.path.relpath(os.path.realpath(path), os.path.realpath(directory))).as_posix()


def _parts(url: str) -> tuple[Any, ...]:
    root, rest = re.match(r"((?:[A-Za-z][A-Za-z0-9+.-]+://[^/]*)?)(.*)", url, re.DOTALL).groups()  # type: ignore[union-attr]
    return root, f"/{rest.strip('/')}"
