"""Prints the declared size of the arrays in a model file; `safety` runs it as a subprocess.

On damaged files the HDF5 library can hang or crash, which must not affect the main process.
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
"""Memory limit in bytes, in addition to four times the file size."""


def declared_bytes(content: str | IO[bytes], max_bytes: int) -> int:
    """Return the declared size of all arrays; read all attributes and chunked arrays to detect damage.

    Args:
        content: path of an HDF5 file, or the open file. Read errors are ignored, since Keras reports them.
        max_bytes: the scan stops above this size.

    Raises:
        MemoryError: reading exceeded the memory limit.
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
        with h5py.File(content, "r") as file:
            visit("/", file)
            file.visititems(visit)
    except Exception as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise
    return total


def limit_memory(extra_bytes: int) -> None:
    """Limit the address space of this process to its current size plus `extra_bytes`, on systems that support it."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as statistics:
            limit = int(statistics.read().split()[0]) * resource.getpagesize() + extra_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(file: str, max_bytes: int) -> None:
    """Print the declared size in bytes of the arrays in a `.keras` or `.h5` file."""
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
