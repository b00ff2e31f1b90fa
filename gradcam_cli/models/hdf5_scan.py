"""Add up what the arrays of a model file claim: a program of its own, for the HDF5 library trusts what it reads.

A damaged file makes it wait for ever, or end the process; `claims` starts this one to find that out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from typing import IO

import h5py

WEIGHTS_NAME = "model.weights.h5"
MEMORY_MARGIN = 1 << 28
"""Bytes that reading may take beside four times the file's own."""


def declared_bytes(content: str | IO[bytes], max_bytes: int) -> int:
    """Return how many bytes the arrays claim, after reading all attributes, and the arrays that are kept in pieces.

    Args:
        content: an HDF5 file; the rest of one that cannot be read is left to Keras to name.
        max_bytes: bytes after which nothing more is read.
    """
    total = 0

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> bool | None:
        nonlocal total
        for name in item.attrs:
            item.attrs[name]
        if isinstance(item, h5py.Dataset):
            total += item.nbytes
            if item.chunks and total <= max_bytes:
                item[()]
        return True if total > max_bytes else None

    try:
        with h5py.File(content, "r") as opened:
            visit("/", opened)
            opened.visititems(visit)
    except Exception as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise
    return total


def limit_memory(extra_bytes: int) -> None:
    """Let this process have so many bytes more than it has, where the system can tell and hold it to that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as statistics:
            now = int(statistics.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + extra_bytes, now + extra_bytes))


def main(file: str, max_bytes: int) -> None:
    """Print the bytes that a `.keras` or `.h5` file claims."""
    limit_memory(MEMORY_MARGIN + 4 * os.path.getsize(file))
    total = 0
    if zipfile.is_zipfile(file):
        with (
            contextlib.suppress(KeyError, RuntimeError, zipfile.BadZipFile),
            zipfile.ZipFile(file) as archive,
            archive.open(WEIGHTS_NAME) as weights,
        ):
            total = declared_bytes(weights, max_bytes)
    else:
        total = declared_bytes(file, max_bytes)
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
