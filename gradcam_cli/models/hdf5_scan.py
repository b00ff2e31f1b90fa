"""Scans the HDF5 data of a model file and prints what it found as JSON; `scan_process` runs it in another process.

On damaged files the HDF5 library can hang or crash, which must not affect the main process. The scan follows no link
to another file. It imports only what it needs, since it runs while the main process imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import signal
import sys
import tempfile
import time
import zipfile
from typing import IO, Any, NamedTuple

import h5py

from gradcam_cli.models.zip_member import FileWindow, stored_member

WEIGHTS_NAME = "model.weights.h5"
ZIP_SIGNATURE = b"PK\x03\x04"
MEMORY_MARGIN = 1 << 28
"""Memory limit in bytes, in addition to four times the file size."""
STEP_SECONDS = 20
"""CPU seconds for one object or chunk; a sound file needs about 0.0001."""
SECONDS_PER_OBJECT, SECONDS_PER_BYTE = 0.01, 1e-7
"""CPU seconds by which each object and each byte that is read extend the limit: 50 times what a sound file needs."""

MIN_READ_AHEAD_BYTES = 1 << 16  # smaller arrays have no place
OPTIMIZER_GROUPS = (b"optimizer", b"optimizer_weights")  # of Keras 3 and Keras 2; a model is opened without them
PLAIN_TYPES = (h5py.h5t.INTEGER, h5py.h5t.FLOAT)

_in_own_process = False
"""Whether the timers of `limit_step` may end this process."""


class RefusedError(Exception):
    """Content that is not allowed in a model file."""


class TooSlowError(Exception):
    """The scan takes far more CPU time than a sound file of this size needs."""


class Budget:
    """Limits the CPU time in proportion to the work that is done.

    The system kills the process if a single step exceeds its limit, even inside the HDF5 library.
    """

    def __init__(self) -> None:
        self.seconds = time.process_time() + STEP_SECONDS

    def add(self, num_bytes: int = 0) -> None:
        """Count one object or chunk, and check the time until now.

        Raises:
            TooSlowError: the limit is exceeded.
        """
        self.seconds += SECONDS_PER_OBJECT + num_bytes * SECONDS_PER_BYTE
        if time.process_time() > self.seconds:
            raise TooSlowError
        limit_step()


def limit_step() -> None:
    """Let the system kill this process after `STEP_SECONDS` of CPU time, unless it is called again."""
    if not _in_own_process:
        return
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, STEP_SECONDS)
    else:
        faulthandler.dump_traceback_later(10 * STEP_SECONDS, exit=True)


def declared_bytes(content: str | IO[bytes], max_bytes: int) -> tuple[int, list[tuple[int, int]]]:
    """Check all arrays; read all attributes and chunked arrays to detect damage.

    Args:
        content: path of an HDF5 file, or the open file.
        max_bytes: the scan stops above this size.

    Returns:
        The declared size of all arrays, and the places of those that `read_ahead` can read.

    Raises:
        RefusedError: the file refers to other files, or has arrays of objects.
        TooSlowError, MemoryError: see `Budget` and `limit_memory`.
        OSError, RuntimeError, ValueError, KeyError: the file is damaged.
    """
    total, budget, visited, places = 0, Budget(), set(), []
    with h5py.File(content, "r") as file:  # objects below h5py.Group and h5py.Dataset, which take five times as long
        remaining = [(file.id, b"/", True)]
        while remaining and total <= max_bytes:
            group, name, is_loaded = remaining.pop()
            is_loaded = is_loaded and name not in OPTIMIZER_GROUPS
            item = h5py.h5o.open(group, name)
            information = h5py.h5o.get_info(item)
            if (information.fileno, information.addr) in visited:
                continue
            visited.add((information.fileno, information.addr))
            budget.add()
            if information.num_attrs:
                _read_attributes(item)
            if isinstance(item, h5py.h5g.GroupID):
                remaining += ((item, member, is_loaded) for member in _members(item))
            elif isinstance(item, h5py.h5d.DatasetID):
                total += _check_array(item)
                if item.get_create_plist().get_layout() == h5py.h5d.CHUNKED and total <= max_bytes:
                    _read_chunks(h5py.Dataset(item), budget)
                elif is_loaded and not file.userblock_size:
                    places += _place(item)
    return total, places


def _read_attributes(item: Any) -> None:
    attributes = h5py.AttributeManager(_Parent(item))
    for name in attributes:
        attributes[name]


class _Parent(NamedTuple):
    id: Any  # what `AttributeManager` requires of an object


def _members(group: h5py.h5g.GroupID) -> list[bytes]:
    """Return the names of the objects in a group; soft links are not followed, nor does Keras follow them."""
    links: list[tuple[bytes, int]] = []
    group.links.iterate(lambda name, link: links.append((name, link.type)), info=True)
    if any(kind not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT) for _, kind in links):
        raise RefusedError("a link to another file")
    return [name for name, kind in links if kind == h5py.h5l.TYPE_HARD]


def _check_array(array: h5py.h5d.DatasetID) -> int:
    """Return the declared size in bytes of an array."""
    creation = array.get_create_plist()
    if creation.get_external_count() or creation.get_layout() == h5py.h5d.VIRTUAL:
        raise RefusedError("an array that is stored in another file")
    if array.get_type().get_class() not in PLAIN_TYPES and array.dtype.hasobject:
        raise RefusedError("an array of objects instead of numbers")
    return int(array.get_space().get_simple_extent_npoints() * array.get_type().get_size())


def _place(array: h5py.h5d.DatasetID) -> list[tuple[int, int]]:
    """Return the offset and the size of a float32 array that is stored in one piece; none of other arrays."""
    offset, size, count = array.get_offset(), array.get_storage_size(), array.get_space().get_simple_extent_npoints()
    plain = array.get_type() == h5py.h5t.NATIVE_FLOAT and size == 4 * count
    return [(offset, size)] if offset and plain and size >= MIN_READ_AHEAD_BYTES else []


def _read_chunks(array: h5py.Dataset, budget: Budget) -> None:
    for chunk in array.iter_chunks():
        budget.add(array[chunk].nbytes)


def limit_memory(extra_bytes: int) -> None:
    """Limit the address space of this process to its current size plus `extra_bytes`, on systems that support it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as statistics:
            limit = int(statistics.read().split()[0]) * resource.getpagesize() + extra_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@contextlib.contextmanager
def _weights_of_archive(file: str, max_bytes: int) -> Any:
    """Open the weights in a `.keras` file; yield the file and its place in the archive, or 0.

    HDF5 seeks back and forth. Keras stores the weights uncompressed, so they are read in place; a compressed member
    would be decompressed from its start for each step back, so it is extracted first.
    """
    with open(file, "rb") as raw, zipfile.ZipFile(raw) as archive, tempfile.TemporaryFile() as extracted:
        if member := stored_member(archive, WEIGHTS_NAME):
            yield io.BufferedReader(FileWindow(raw, member.start, member.size), 1 << 14), member.start
            return
        with archive.open(WEIGHTS_NAME) as weights:
            while extracted.tell() <= max_bytes and (block := weights.read(1 << 20)):
                extracted.write(block)
                limit_step()
        yield extracted, 0


def scan(file: str, max_bytes: int) -> dict[str, Any]:
    """Return the declared size of the arrays of a model file, and the places in the file of those to read ahead.

    Of an `.h5` file, also return its configuration and Keras version.
    """
    with open(file, "rb") as opened:
        archive = opened.read(len(ZIP_SIGNATURE)) == ZIP_SIGNATURE
    if archive:
        with _weights_of_archive(file, max_bytes) as (weights, start):
            num_bytes, places = declared_bytes(weights, max_bytes)
            return {"bytes": num_bytes, "places": [(start + offset, size) for offset, size in places if start]}
    num_bytes, places = declared_bytes(file, max_bytes)
    result: dict[str, Any] = {"bytes": num_bytes, "places": places}
    with h5py.File(file, "r") as content:
        for key, name in (("config", "model_config"), ("keras_version", "keras_version")):
            text = content.attrs.get(name)
            text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
            result[key] = str(text) if isinstance(text, str) else None
    return result


def main(file: str, max_bytes: int) -> dict[str, Any]:
    """Return the result of the scan, or why it failed."""
    global _in_own_process
    _in_own_process = True
    limit_memory(MEMORY_MARGIN + 4 * os.path.getsize(file))
    limit_step()
    try:
        return scan(file, max_bytes)
    except RefusedError as error:
        return {"refused": str(error)}
    except TooSlowError:
        return {"slow": True}
    except Exception as error:  # on damaged files h5py raises many types
        if isinstance(error, MemoryError) or "alloc" in str(error):
            return {"memory": True}
        return {"damaged": " ".join(str(error).split())[:200]}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
