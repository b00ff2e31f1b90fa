"""Checks of an untrusted model or weight file before Keras reads it: archive, declared sizes, damage."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gradcam_cli.errors import ModelError
from gradcam_cli.models.read_ahead import Place, ReadAhead
from gradcam_cli.models.scan_process import ScanProcess, start_scan
from gradcam_cli.models.zip_member import StoredMember, stored_member

CONFIG_NAME, WEIGHTS_NAME, METADATA_NAME = "config.json", "model.weights.h5", "metadata.json"
ZIP_SIGNATURE, HDF5_SIGNATURE = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
MAX_CONFIG_BYTES = 32 << 20
"""Limit of the configuration's size; the largest in `keras.applications` have about 2 MB."""
MAX_ARCHIVE_MEMBERS = 10_000
MIN_DECOMPRESSED_BYTES, MAX_EXPANSION = 1 << 28, 100
"""Decompressed size limit: the larger of this number of bytes and this multiple of the file size.

Weights hardly compress, so valid models stay far below."""


class Hdf5Check:
    """The check of the HDF5 data of a file in another process, since a damaged file can hang or crash the library.

    The process is started at once and needs less time than the import of TensorFlow or the creation of a model.
    `finish` waits for it, before the data is read in this process.

    Attributes:
        file: the file.
        keras_version: the version of Keras that wrote an `.h5` file, after `finish`; "" if it is not known.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.keras_version = ""
        self._result: dict[str, Any] | None = None
        self._lock = threading.Lock()
        self.reader: ReadAhead | None = None
        try:
            self._process = start_scan(file, max_decompressed_size(file))
        except OSError as error:
            raise ModelError(f"cannot check {file}: cannot start a process: {error}") from error

    def finish(self) -> str | None:
        """Wait for the result, and return the configuration that an `.h5` file contains, or None.

        Raises:
            ModelError: the file is damaged, declares too large arrays, or refers to other files; the weights in an
                archive do not have its checksum.
        """
        result, file = self._wait(), self.file
        if "refused" in result:
            raise ModelError(f"{file}: expected the weights in the file, got {result['refused']}")
        if "slow" in result:
            raise ModelError(f"{file}: the check of its HDF5 data took too long for its size; the file may be damaged")
        if "memory" in result:
            raise ModelError(f"{file} is damaged: reading its HDF5 data requires more memory than its arrays")
        if "damaged" in result:
            raise ModelError(f"{file} is damaged or not an HDF5 file: {result['damaged']}")
        _check_decompressed_size(file, result["bytes"])
        if is_archive(file):
            self.reader = self.reader or ReadAhead(file, list, self._member)
            if self.reader.is_damaged():
                raise ModelError(f"{file} is damaged: {WEIGHTS_NAME} does not have the checksum of the archive")
        config, self.keras_version = result.get("config"), str(result.get("keras_version") or "")
        return config if isinstance(config, str) else None

    def read_ahead(self) -> None:
        """Start to read the arrays of the file, when its check has passed, in a thread."""
        if self.reader is None:
            self.reader = ReadAhead(self.file, self._places, self._member if is_archive(self.file) else None)

    def _wait(self) -> dict[str, Any]:
        with self._lock:
            if self._result is None:
                self._result = _parse(self._process)
            return self._result

    def _places(self) -> list[Place]:
        """Return the places of the arrays that are read ahead, none of a file that is refused or too large."""
        places = [(offset, size) for offset, size in self._wait().get("places", [])]
        return places if sum(size for _, size in places) <= self.file.stat().st_size else []

    def _member(self) -> StoredMember | None:
        """Return where the weights are in an archive, None if they are compressed, or the file is refused."""
        if "bytes" not in self._wait():
            return None
        with zipfile.ZipFile(self.file) as archive:
            return stored_member(archive, WEIGHTS_NAME)

    def stop(self) -> None:
        """Stop the process, if it still runs."""
        if self._result is None:
            self._process.kill()
            self._wait()


_started: dict[tuple[Any, ...], Hdf5Check] = {}
_open: dict[str, Hdf5Check] = {}
"""The checks of the files that are being opened, by their real paths."""


def start_check(file: Path) -> None:
    """Start the check of a file that will be opened later; errors are raised when it is opened."""
    with contextlib.suppress(OSError, ModelError):
        if file.is_file() and is_checked(file) and _identity(file) not in _started:
            _started[_identity(file)] = Hdf5Check(file)


def start_read_ahead(file: Path) -> None:
    """Start to read the arrays of a file whose check was started, in a thread; do not fork the process later."""
    with contextlib.suppress(OSError):
        if check := _started.get(_identity(file)):
            check.read_ahead()


def hdf5_config(file: Path) -> Any:
    """Return the configuration in an `.h5` file that is opened later, or None; its check goes on being used."""
    start_check(file)
    return _started[_identity(file)]._wait().get("config")


def read_ahead_of(file: str) -> ReadAhead | None:
    """Return what reads the arrays of a file that is being opened, or None."""
    check = _open.get(os.path.realpath(file))
    return check.reader if check else None


@contextlib.contextmanager
def hdf5_check(file: Path) -> Iterator[Hdf5Check]:
    """Start the check of a file, unless `start_check` has done so; stop it when the block ends."""
    check, path = _started.pop(_identity(file), None) or Hdf5Check(file), os.path.realpath(file)
    _open[path] = check
    try:
        yield check
    finally:
        _open.pop(path, None)
        check.stop()


def is_checked(file: Path) -> bool:
    """Return whether a file has the suffix of a `.keras` archive or an HDF5 file, in any case."""
    return file.name.lower().endswith((".keras", ".h5", ".hdf5"))


def is_archive(file: Path) -> bool:
    """Return whether a file is a `.keras` archive, by its first bytes; TensorFlow 2.12 wrote HDF5 to such names.

    A file that begins as neither is judged by its suffix.
    """
    with file.open("rb") as opened:
        head = opened.read(len(HDF5_SIGNATURE))
    if head.startswith(ZIP_SIGNATURE) or head == HDF5_SIGNATURE:
        return head.startswith(ZIP_SIGNATURE)
    return file.name.lower().endswith(".keras")


@contextlib.contextmanager
def with_keras_suffix(file: Path) -> Iterator[Path]:
    """Yield a path of a file whose suffix is that of its content, by which Keras goes: a link if need be."""
    suffixes = (".keras",) if is_archive(file) else (".h5", ".hdf5")
    if file.name.endswith(suffixes):
        yield file
        return
    name = file.name.lower()
    with tempfile.TemporaryDirectory() as directory:
        link = Path(directory) / (name if name.endswith(suffixes) else name + suffixes[0])
        link.symlink_to(file.absolute())
        yield link


def max_decompressed_size(file: Path) -> int:
    """Return the limit in bytes of the decompressed size of a file."""
    return max(MIN_DECOMPRESSED_BYTES, MAX_EXPANSION * file.stat().st_size)


@contextlib.contextmanager
def open_archive(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open and check a `.keras` archive.

    Raises:
        ModelError: it is not a zip archive, has unsafe member paths, no weights, or a too large decompressed size.
    """
    try:
        archive = zipfile.ZipFile(file)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"{file} is damaged or not a .keras file: not a zip archive: {error}") from error
    with archive:
        _check_members(file, archive.infolist())
        yield archive


def read_archive(file: Path) -> tuple[str, str]:
    """Return the text of the configuration in a `.keras` archive, and the version of Keras, after a check of it.

    Raises:
        ModelError: see `open_archive`; or the configuration is missing or damaged.
    """
    with open_archive(file) as archive:
        try:
            text = archive.read(CONFIG_NAME).decode("utf-8")
        except Exception as error:  # zipfile raises many types for damaged members
            raise ModelError(f"{file} is damaged: cannot read {CONFIG_NAME}: {error}") from error
        try:
            version = json.loads(archive.read(METADATA_NAME))["keras_version"]
        except Exception:  # it is not needed
            version = ""
    return text, str(version)


def _check_members(file: Path, members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_ARCHIVE_MEMBERS:
        raise ModelError(f"{file}: expected at most {MAX_ARCHIVE_MEMBERS:,} files in the archive, got {len(members):,}")
    names = {member.filename for member in members}
    for name in names:
        if re.search(r"(^|[/\\])\.\.([/\\]|$)|^[/\\]|^[A-Za-z]:", name):
            raise ModelError(f"{file}: unsafe path in the archive: {name!r}")
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if name not in names:
            raise ModelError(f"{file} is damaged or not a .keras file: {name} is missing")
    for member in members:
        if member.filename in (CONFIG_NAME, METADATA_NAME) and member.file_size > MAX_CONFIG_BYTES:
            raise ModelError(
                f"{file}: expected at most {MAX_CONFIG_BYTES:,} bytes of {member.filename}, got {member.file_size:,}"
            )
    _check_decompressed_size(file, sum(member.file_size for member in members))


def _parse(process: ScanProcess) -> dict[str, Any]:
    output, _ = process.communicate()
    if hasattr(signal, "SIGPROF") and process.returncode == -signal.SIGPROF:
        return {"slow": True}
    try:
        result = json.loads(output)
    except ValueError:
        return {"damaged": "the HDF5 library crashes"}
    return result if isinstance(result, dict) else {"damaged": "the HDF5 library crashes"}


def _identity(file: Path) -> tuple[Any, ...]:
    status = file.stat()
    return str(file.absolute()), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _check_decompressed_size(file: Path, declared_bytes: int) -> None:
    if declared_bytes > max_decompressed_size(file):
        limit = max_decompressed_size(file)
        raise ModelError(f"{file}: expected at most {limit:,} decompressed bytes, got {declared_bytes:,}")
